"""`headrace plan`: tell what `headrace deploy` would change, and change nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.deploying import deployment_options, prepare, problems_told, read_options
from headrace.cli.render import emit, output_option
from headrace.cli.runs import local

if TYPE_CHECKING:
    from headrace.deploy.project.plan import Difference, Firing

_SIGNS = {"create": "+", "change": "~", "leave": "=", "delete": "-"}
_SHOWN_MAX = 100


@click.command("plan")
@deployment_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Write the plan here, for `headrace deploy --plan`.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 when something would change.")
@output_option
@click.pass_context
def command(context: click.Context, out: Path | None, exit_code: bool, output: str | None, **given: Any) -> None:
    """Tell what deploying would change on the server, field by field, with the next times of each schedule.

    Takes the options of `headrace deploy`. No step is run, and nothing is changed. Exits with 1 when something could not be deployed.
    """
    from headrace.deploy.project.choice import read_project
    from headrace.deploy.project.plan import as_data, compare

    options = read_options(given)
    with problems_told():
        project = read_project(given["file"], Path.cwd())
        differences = compare(*prepare(options, project, given["skip_remotes"]))
    data = as_data(differences, options=asdict(options), file=str(project.file) if project.file else None)
    if out is not None:
        out.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    if output is not None:
        emit(data if output == "json" else data["deployments"], output)
    else:
        _tell(differences)
        if out is not None:
            click.echo(f"\nThe plan is in {out}. Carry it out with `headrace deploy --plan {out}`.")
    context.exit(2 if exit_code and any(one.action != "leave" for one in differences) else 0)


def _tell(differences: Sequence[Difference]) -> None:
    for one in differences:
        click.echo(f"{_SIGNS[one.action]} {one.name}")
        for change in one.changes:
            if change.field in ("parameter_openapi_schema", "schedules"):
                click.echo(f"    {change.field}: changed")
            else:
                click.echo(f"    {change.field}: {_short(change.before)} -> {_short(change.after)}")
        for field in one.after_build:
            click.echo(f"    {field}: known when the build and push steps have run")
        if one.schedules_before != one.schedules_after:
            _tell_firings("until now", one.schedules_before)
            _tell_firings("from then on", one.schedules_after)
        elif one.schedules_after:
            _tell_firings("as before", one.schedules_after)
        if one.triggers:
            click.echo(f"    triggers: {one.triggers}, made anew")
        for message in one.invalid:
            click.echo(f"    ! does not fit any more: {message}")
    counts = {action: sum(one.action == action for one in differences) for action in _SIGNS}
    told = f"{counts['create']} to create, {counts['change']} to change, {counts['leave']} as they are"
    more = f", {counts['delete']} to delete" if counts["delete"] else ""
    click.echo(f"\n{told}{more}.")


def _tell_firings(when: str, firings: Sequence[Firing]) -> None:
    for firing in firings:
        times = ", ".join(local(moment) for moment in firing.times) or ("paused" if not firing.active else "never")
        click.echo(f"    schedule {firing.schedule}, {when}: {firing.unknown or times}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
