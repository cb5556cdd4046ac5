"""`headrace deploy`: make deployments, as the project file and the options say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.deploying import deployment_options, prepare, problems_told, read_options
from headrace.cli.exits import REFUSED
from headrace.cli.render import emit, fail, output_option, yes_option

if TYPE_CHECKING:
    from headrace.deploy.project.apply import Made
    from headrace.deploy.project.checks import Prepared
    from headrace.deploy.project.choice import Options, Project
    from headrace.model.deployments import Deployment


@click.command("deploy")
@deployment_options
@click.option("--plan", "plan_file", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Do what `headrace plan --out FILE` wrote.")
@click.option("--save", is_flag=True, help="Write the deployment to the project file too.")
@yes_option
@output_option
@click.pass_context
def command(context: click.Context, plan_file: Path | None, save: bool, yes: bool, output: str | None, **given: Any) -> None:
    """Deploy flows: one at FILE:FLOW, or those of the project file.

    Everything is checked first, and nothing is changed on the server while something is wrong. `headrace plan` tells what would change.
    """
    from headrace.cli.config import is_interactive
    from headrace.deploy.project.apply import Made, apply, run_build
    from headrace.deploy.project.choice import read_project
    from headrace.deploy.project.prune import delete

    options, file = read_options(given), given["file"]
    with problems_told():
        if plan_file is not None:
            options, file = _planned(plan_file, options)
        project = read_project(file, Path.cwd())
        asks = is_interactive() and plan_file is None and output is None
        before = options
        if asks:
            options = _asked(options, project)
        prepared, gone = prepare(options, project, given["skip_remotes"])
        if plan_file is not None:
            _check_plan(plan_file, prepared, gone)
        elif gone:
            confirm_delete(f"what {project.name} does not list any more, {', '.join(gone)}", yes)
        ready = run_build(prepared, lambda line: click.echo(line, err=True))
    made = apply(ready)
    if gone:
        failed = any(one.error for one in made)
        made += [Made(name, error="It was not deleted, because an earlier one failed.") for name in gone] if failed else delete(gone)
    _tell(made, gone, output)
    wants_saving = save or (asks and options != before and click.confirm("Write it to the project file, to deploy it again as it is?"))
    if wants_saving and not any(one.error for one in made):
        _save(prepared, project)
    context.exit(REFUSED if any(one.error for one in made) else 0)


def _asked(options: Options, project: Project) -> Options:
    from headrace.cli.asking_deployment import TerminalAsker
    from headrace.deploy.project.wizard import complete

    return complete(options, project, TerminalAsker(), Path.cwd())


def _planned(plan_file: Path, options: Options) -> tuple[Options, Path | None]:
    from headrace.deploy.project.choice import Options
    from headrace.deploy.project.plan import read_plan

    if options != Options():
        raise click.UsageError("--plan deploys what was planned: give the other options to `headrace plan`.")
    plan = read_plan(plan_file)
    kept: dict[str, Any] = {name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value for name, value in plan["options"].items()}
    return replace(Options(), **kept), Path(plan["file"]) if plan["file"] else None


def _check_plan(plan_file: Path, prepared: Sequence[Prepared], gone: Mapping[str, Deployment]) -> None:
    from headrace.deploy.project.plan import check_still_true, compare, read_plan

    check_still_true(read_plan(plan_file), compare(prepared, gone))


def _tell(made: Sequence[Made], gone: Mapping[str, Deployment], output: str | None) -> None:
    if output is not None:
        emit([one.deployment for one in made if one.deployment is not None], output)
    for one in made:
        if one.error is not None:
            click.echo(f"Error: {one.name} was not {'deleted' if one.name in gone else 'deployed'}: {one.error}", err=True)
        elif output is None and one.what is not None:
            id = f" ({one.deployment.id})" if one.deployment is not None else ""
            click.echo(f"{one.what.capitalize()} deployment {one.name!r}{id}.")
    done = [one for one in made if one.deployment is not None]
    if output is None and done and done[0].deployment is not None:
        pool = done[0].deployment.work_pool_name
        if pool:
            click.echo(f"Its runs wait for a worker of the work pool {pool!r}: `headrace worker start --pool {pool}`.")
        click.echo(f"Run it with `headrace deployment run '{done[0].name}'`.")


def _save(prepared: Sequence[Prepared], project: Project) -> None:
    from headrace.deploy.project.wizard import save

    for one in prepared:
        if not one.entry.is_new:
            click.echo(f"{one.entry.title} is in {project.name} already, and stays there as it is written.", err=True)
            continue
        try:
            click.echo(f"Wrote {one.name!r} to {save(one.entry, project, Path.cwd()).name}.")
        except ValueError as error:
            fail(f"The deployment was made, but not written to the project file. {error}")
