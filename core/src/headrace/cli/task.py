"""`headrace task`: run tasks in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from headrace.cli.groups import Group
from headrace.cli.render import fail


@click.group("task", cls=Group)
def group() -> None:
    """Run background runs of tasks in this process."""


@group.command()
@click.argument("entrypoints", nargs=-1, metavar="[FILE:TASK]...")
@click.option("-m", "--module", "modules", multiple=True, help="Serve all tasks of this module. Repeatable.")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="How many runs at once.")
@click.option("--no-limit", is_flag=True, help="As many runs at once as come.")
@click.option("--status-server-port", type=click.IntRange(0, 65535), default=None, help="Serve GET /status on this port.")
def serve(entrypoints: tuple[str, ...], modules: tuple[str, ...], limit: int, no_limit: bool, status_server_port: int | None) -> None:
    """Run what is submitted to tasks with `.delay`, until this process is told to stop. FILE:TASK is path/to/file.py:task."""
    from headrace.settings import get_current_settings

    if not entrypoints and not modules:
        raise click.UsageError("Name at least one task, as path/to/file.py:task, or a --module.")
    if not get_current_settings().api.url:
        fail("A task worker needs a server to take runs from.", "Start one with `headrace server start` and set HEADRACE_API_URL to its address.")
    tasks = [_load(entrypoint) for entrypoint in entrypoints]
    for module in modules:
        tasks += _tasks_of(module)
    from headrace.deploy.task_worker import serve as serve_tasks

    serve_tasks(*tasks, limit=None if no_limit else limit, status_server_port=status_server_port)


def _load(entrypoint: str) -> Any:
    from headrace.data.importing import import_object
    from headrace.engine.task import Task
    from headrace.model.errors import ScriptError

    if ":" not in entrypoint:
        raise click.UsageError(f"{entrypoint!r} names no task. Name one as path/to/file.py:task.")
    script = entrypoint.rpartition(":")[0]
    if script.endswith(".py") and not Path(script).is_file():
        fail(f"There is no file {script!r}, which {entrypoint!r} names.")
    try:
        found = import_object(entrypoint)
    except ScriptError as error:
        fail(f"{error.path} could not be imported: {type(error.user_exc).__name__}: {error.user_exc}")
    except (OSError, ImportError, AttributeError) as error:
        fail(f"There is no task at {entrypoint!r}: {error}")
    if not isinstance(found, Task):
        fail(f"{entrypoint!r} names a {type(found).__name__}, not a task.", "Decorate the function with `@task`.")
    return cast("Any", found)


def _tasks_of(module: str) -> list[Any]:
    from headrace.data.importing import load_module
    from headrace.engine.task import Task

    try:
        names = vars(load_module(module))
    except ImportError as error:
        fail(f"The module {module!r} could not be imported: {error}")
    found = [value for value in names.values() if isinstance(value, Task)]  # pyright: ignore[reportUnknownVariableType]  # of any kind
    if not found:
        fail(f"The module {module!r} has no tasks.")
    return cast("list[Any]", found)
