"""`headrace automation`: what the server does by itself when something happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call, collect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from click.shell_completion import CompletionItem

    from headrace.model.automations import Automation

    CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def _complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(one.name) for one in _automations() if one.name.startswith(typed)]


def _chosen(command: CommandT) -> CommandT:
    by_id = click.option("--id", "id", type=click.UUID, default=None, help="The automation by its id instead.")
    return click.argument("name", required=False, shell_complete=_complete)(by_id(command))


def _given(command: CommandT) -> CommandT:
    text = click.option("-j", "--from-json", "text", default=None, metavar="JSON", help="The automation as JSON.")
    file = click.option("-f", "--from-file", "file", type=click.Path(dir_okay=False, path_type=Path), default=None, help="A file, YAML or JSON.")
    return file(text(command))


@click.group("automation", cls=Group)
def group() -> None:
    """Look at automations, create, change, pause, resume and delete them."""


@group.command("ls")
@output_option
def list_(output: str | None) -> None:
    """List automations, by name."""
    found = _automations()
    rows = [(one.name, one.id, "yes" if one.enabled else "no", one.trigger.type, len(one.actions)) for one in found]
    emit(found, output, (("name", "id", "enabled", "trigger", "actions"), rows))


@group.command()
@_chosen
@click.option("--yaml", "as_yaml", is_flag=True, help="Print as YAML; the same as -o yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON; the same as -o json.")
@output_option
def inspect(name: str | None, id: UUID | None, as_yaml: bool, as_json: bool, output: str | None) -> None:
    """Show the automation NAME; all of them, if several have it."""
    found = _find(name, id)
    chosen = output or ("json" if as_json else "yaml" if as_yaml else None)
    emit(found[0] if len(found) == 1 else found, chosen)


@group.command()
@_chosen
def pause(name: str | None, id: UUID | None) -> None:
    """Switch the automation NAME off."""
    _switch(name, id, False)


@group.command()
@_chosen
def resume(name: str | None, id: UUID | None) -> None:
    """Switch the automation NAME on."""
    _switch(name, id, True)


group.add_command(pause, "disable")
group.add_command(resume, "enable")


@group.command()
@_chosen
@click.option("--all", "everything", is_flag=True, help="All automations.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str | None, id: UUID | None, everything: bool, yes: bool) -> None:
    """Delete the automation NAME."""
    from headrace.model.endpoints.automations import DELETE_AUTOMATION

    if everything and (name is not None or id is not None):
        raise click.UsageError("--all excludes a name and --id.")
    found = _automations() if everything else [_one(name, id)]
    if not found:
        click.echo("There are no automations.")
        return
    what = f"all {len(found)} automations" if everything else f"automation {found[0].name!r}"
    confirm_delete(what, yes)
    for one in found:
        call(DELETE_AUTOMATION, id=one.id)
    click.echo(f"Deleted {what}.")


@group.command()
@_given
@output_option
@click.pass_context
def create(context: click.Context, file: Path | None, text: str | None, output: str | None) -> None:
    """Create automations: one, a list of them, or {"automations": [...]}. Those that fail are told of, and the others created."""
    from headrace.model.automations import AutomationCreate
    from headrace.model.endpoints.automations import CREATE_AUTOMATION

    documents, failures, made = _documents(file, text), 0, list["Automation"]()
    for index, document in enumerate(documents):
        try:
            made.append(call(CREATE_AUTOMATION, _parsed(AutomationCreate, document)))
        except Exception as error:  # noqa: BLE001  # each is told of, and the next one tried
            failures += 1
            name = document.get("name") if isinstance(document, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # what the user wrote
            click.echo(f"Error: Automation {index} ({name or 'without a name'}) was not created: {error}", err=True)
    if output is not None:
        emit(made[0] if len(documents) == 1 and made else made, output)
    else:
        for one in made:
            click.echo(f"Created automation {one.name!r} ({one.id}).")
    context.exit(1 if failures else 0)


@group.command()
@click.option("--id", "id", type=click.UUID, required=True, help="The automation.")
@_given
@output_option
def update(id: UUID, file: Path | None, text: str | None, output: str | None) -> None:
    """Replace the automation --id by another."""
    from headrace.model.automations import AutomationUpdate
    from headrace.model.endpoints.automations import READ_AUTOMATION, UPDATE_AUTOMATION

    documents = _documents(file, text)
    if len(documents) != 1:
        raise click.UsageError(f"Give one automation, not {len(documents)}.")
    call(READ_AUTOMATION, id=id)
    try:
        body = _parsed(AutomationUpdate, documents[0])
    except ValueError as error:
        fail(f"The automation was not changed: {error}")
    call(UPDATE_AUTOMATION, body, id=id)
    if output is not None:
        emit(call(READ_AUTOMATION, id=id), output)
        return
    click.echo(f"Changed automation {body.name!r} ({id}).")


def _parsed(shape: Any, document: Any) -> Any:
    from pydantic import ValidationError

    if not isinstance(document, dict):
        raise ValueError(f"it is {type(document).__name__}, not an object")  # noqa: TRY004  # told as a wrong value
    known = {name: value for name, value in cast("dict[str, Any]", document).items() if name not in ("id", "created", "updated")}
    try:
        return shape.model_validate(known)
    except ValidationError as error:
        places = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        raise ValueError("; ".join(places)) from error


def _documents(file: Path | None, text: str | None) -> list[Any]:
    if (file is None) == (text is None):
        raise click.UsageError("Give either --from-file or --from-json.")
    if file is not None:
        if not file.is_file():
            fail(f"There is no file {str(file)!r}.")
        text = file.read_text(encoding="utf-8")
    assert text is not None, "one of both is given"
    try:
        if file is not None and file.suffix != ".json":
            import yaml

            found = yaml.safe_load(text)
        else:
            found = json.loads(text)
    except ValueError as error:
        fail(f"{file or '--from-json'} is no valid JSON: {error}")
    except Exception as error:  # noqa: BLE001  # what yaml raises, without importing it for JSON
        fail(f"{file} is no valid YAML: {error}")
    if isinstance(found, dict) and "automations" in found:
        found = cast("dict[str, Any]", found)["automations"]
    return cast("list[Any]", found) if isinstance(found, list) else [found]


def _automations() -> list[Automation]:
    from headrace.model.automations import AutomationQuery, AutomationSort
    from headrace.model.endpoints.automations import FILTER_AUTOMATIONS

    def fetch(offset: int, count: int) -> Sequence[Automation]:
        return call(FILTER_AUTOMATIONS, AutomationQuery(sort=AutomationSort.NAME_ASC, offset=offset, limit=count))

    return collect(1_000_000_000, fetch)


def _find(name: str | None, id: UUID | None) -> list[Automation]:
    from headrace.model.endpoints.automations import READ_AUTOMATION
    from headrace.model.errors import near

    if (name is None) == (id is None):
        raise click.UsageError("Give either the name of an automation or its --id.")
    if id is not None:
        return [call(READ_AUTOMATION, id=id)]
    everything = _automations()
    found = [one for one in everything if one.name == name]
    if not found:
        fail(
            f"There is no automation {name!r}. {near(name or '', [one.name for one in everything])}".rstrip(),
            "`headrace automation ls` lists them.",
            4,
        )
    return found


def _one(name: str | None, id: UUID | None) -> Automation:
    found = _find(name, id)
    if len(found) > 1:
        fail(f"{len(found)} automations are named {name!r}.", f"Give the --id of one: {', '.join(str(one.id) for one in found[:5])}")
    return found[0]


def _switch(name: str | None, id: UUID | None, enabled: bool) -> None:
    from headrace.model.automations import AutomationPartialUpdate
    from headrace.model.endpoints.automations import SWITCH_AUTOMATION

    one = _one(name, id)
    call(SWITCH_AUTOMATION, AutomationPartialUpdate(enabled=enabled), id=one.id)
    click.echo(f"{'Resumed' if enabled else 'Paused'} automation {one.name!r}.")
