"""What `headrace deploy` and `headrace plan` share: the options that choose and change deployments, and how problems are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from headrace.cli.render import fail
from headrace.cli.runs import impatient

if TYPE_CHECKING:
    from headrace.deploy.project.checks import Prepared
    from headrace.deploy.project.choice import Options, Project
    from headrace.model.deployments import Deployment

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("entrypoint", required=False, metavar="[FILE:FLOW]"),
    click.option("-n", "--name", "names", multiple=True, help="The deployment: NAME or FLOW/NAME, * for any text. Repeatable."),
    click.option("--all", "all_", is_flag=True, help="All deployments of the project file."),
    click.option("--prune", is_flag=True, help="With --all: delete the deployments of this project that its file does not list any more."),
    click.option("-d", "--description", default=None, help="What it is for; by default the flow's docstring."),
    click.option("--version", default=None, help="Its version; by default that of the commit, else of the flow."),
    click.option("--version-type", default=None, help="Where the version is looked for: vcs:github, vcs:git, headrace:simple, ..."),
    click.option("-t", "--tag", "tags", multiple=True, help="A tag of the deployment and its runs. Repeatable."),
    click.option("-cl", "--concurrency-limit", type=click.IntRange(min=1), default=None, help="How many of its runs may be under way at once."),
    click.option(
        "--collision-strategy", type=click.Choice(("ENQUEUE", "CANCEL_NEW"), case_sensitive=False), default=None, help="What becomes of more."
    ),
    click.option("-p", "--pool", default=None, help="The work pool whose workers run it."),
    click.option("-q", "--work-queue", "queue", default=None, help="The queue of the pool."),
    click.option("-jv", "--job-variable", "job_variables", multiple=True, metavar="NAME=VALUE", help="A job variable, JSON or text. Repeatable."),
    click.option("--cron", "crons", multiple=True, help="Run at the times of a cron expression. Repeatable."),
    click.option("--interval", "intervals", multiple=True, metavar="SECONDS", help="Run every so many seconds. Repeatable."),
    click.option("--anchor-date", default=None, help="Count intervals from this time."),
    click.option("--rrule", "rrules", multiple=True, help="Run at the times of a recurrence rule. Repeatable."),
    click.option("--timezone", default=None, help="The time zone of the schedules, as Europe/Berlin."),
    click.option("--trigger", "triggers", multiple=True, metavar="JSON|FILE", help="An event that starts a run. Repeatable."),
    click.option("--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter, JSON or text. Repeatable."),
    click.option("--params", "document", default=None, metavar="JSON", help="Parameters as a JSON object; - reads it from stdin."),
    click.option("--enforce-parameter-schema/--no-enforce-parameter-schema", "enforce", default=None, help="Refuse parameters that do not fit."),
    click.option(
        "--headrace-file",
        "--prefect-file",
        "file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        help="The project file; by default headrace.yaml or prefect.yaml here.",
    ),
    click.option("--skip-remote-check", "skip_remotes", is_flag=True, help="Do not ask whether git repositories can be reached from here."),
)


def deployment_options(command: CommandT) -> CommandT:
    """Give a command the argument and the options that say what to deploy; `read_options` takes their values."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


def read_options(given: dict[str, Any]) -> Options:
    """Return what the command line says of the deployment. Raises a usage error for values that cannot be read."""
    from headrace.cli.running import read_parameters
    from headrace.deploy.project.choice import Options

    if given["entrypoint"] == "init":
        raise click.UsageError("`headrace init` begins a project; `headrace deploy` takes an entrypoint, as path/to/file.py:flow.")
    if given["collision_strategy"] and not given["concurrency_limit"]:
        raise click.UsageError("--collision-strategy says what becomes of runs beyond a limit: give --concurrency-limit too.")
    if given["anchor_date"] and not given["intervals"]:
        raise click.UsageError("--anchor-date belongs to --interval.")
    kinds = (("cron", given["crons"]), ("interval", given["intervals"]), ("rrule", given["rrules"]))
    schedules = [{kind: value} for kind, values in kinds for value in values]
    for schedule in schedules:
        if given["timezone"]:
            schedule["timezone"] = given["timezone"]
        if given["anchor_date"] and "interval" in schedule:
            schedule["anchor_date"] = given["anchor_date"]
    return Options(
        entrypoint=given["entrypoint"],
        names=tuple(given["names"]),
        all=given["all_"],
        prune=given["prune"],
        pool=given["pool"],
        queue=given["queue"],
        description=given["description"],
        version=given["version"],
        version_type=given["version_type"],
        tags=tuple(given["tags"]),
        concurrency_limit=given["concurrency_limit"],
        collision_strategy=given["collision_strategy"].upper() if given["collision_strategy"] else None,
        job_variables=_job_variables(given["job_variables"]),
        schedules=tuple(schedules),
        triggers=tuple(one for text in given["triggers"] for one in _triggers(text)),
        parameters=read_parameters(given["pairs"], given["document"]),
        enforce_parameter_schema=given["enforce"],
    )


def _job_variables(texts: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` and JSON objects; a dotted name is a path: `env.A=1` is `{"env": {"A": 1}}`."""
    from headrace.cli.running import read_parameters
    from headrace.data.collections import deep_merge

    found: dict[str, Any] = {}
    for text in texts:
        if text.lstrip().startswith("{"):
            found = deep_merge(found, read_parameters((), text))
            continue
        for name, value in read_parameters((text,), None).items():
            nested: Any = value
            for part in reversed(name.split(".")):
                nested = {part: nested}
            found = deep_merge(found, nested)
    return found


def _triggers(text: str) -> list[dict[str, Any]]:
    """Read a trigger written as JSON, or those of a JSON or YAML file."""
    import yaml

    is_file = not text.lstrip().startswith(("{", "[")) and Path(text).is_file()
    try:
        read: Any = yaml.safe_load(Path(text).read_text(encoding="utf-8")) if is_file else json.loads(text)
    except (ValueError, yaml.YAMLError, OSError) as error:
        raise click.BadParameter(f"--trigger takes JSON, or a JSON or YAML file: {error}") from error
    if isinstance(read, dict) and "triggers" in read:
        read = cast("dict[str, Any]", read)["triggers"]
    return cast("list[dict[str, Any]]", read) if isinstance(read, list) else [cast("dict[str, Any]", read)]


def prepare(options: Options, project: Project, skip_remotes: bool) -> tuple[list[Prepared], dict[str, Deployment]]:
    """Choose the deployments and check all about them; return them, and by name those to delete. Raises `ProjectInvalid`."""
    from headrace.deploy.project.checks import Checker
    from headrace.deploy.project.choice import choose
    from headrace.deploy.project.prune import left_over
    from headrace.settings import get_current_settings

    checker = Checker(Path.cwd(), get_current_settings().deployments.default_work_pool_name, skip_remotes)
    entries = choose(project, options, checker.warnings.append, checker.flow_names)
    prepared = checker.prepare(entries)
    gone = left_over(project, options, prepared)
    for warning in dict.fromkeys(checker.warnings):
        click.echo(f"Warning: {warning}", err=True)
    return prepared, gone


@contextmanager
def problems_told() -> Generator[None]:
    """Turn what is wrong with a project into lines on stderr and exit status 1."""
    from headrace.deploy.project.source import ProjectInvalid

    try:
        with impatient():
            yield
    except ProjectInvalid as error:
        count = len(error.problems)
        first = "Nothing was deployed, because of a problem:" if count == 1 else f"Nothing was deployed, because of {count} problems:"
        fail("\n  ".join([first, *map(str, error.problems)]))
