"""`headrace event`: see events as they happen, and emit them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.exits import UNREACHABLE
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import FIRST_ANSWER_SECONDS_MAX

if TYPE_CHECKING:
    from headrace.model.events import ReceivedEvent


@click.group("event", cls=Group)
def group() -> None:
    """See events as they happen, and emit them."""


@group.command()
@click.option("--format", "form", type=click.Choice(("json", "text")), default="json", show_default=True, help="How an event is printed.")
@click.option("--output-file", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Append to this file instead of printing.")
@click.option("--run-once", is_flag=True, help="End after one event.")
def stream(form: str, output_file: Path | None, run_once: bool) -> None:
    """Print each event of the server as it happens, one a line, those of the last minute first."""
    import asyncio

    asyncio.run(_stream(form, output_file, run_once))


async def _stream(form: str, output_file: Path | None, run_once: bool) -> None:
    from headrace.client.bridge import mode
    from headrace.client.subscriptions import HeadraceEventSubscriber

    mode.set("async")
    async with HeadraceEventSubscriber() as events:
        async for event in events:
            line = event.model_dump_json() if form == "json" else _text(event)
            if output_file is None:
                click.echo(line)
            else:
                with output_file.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")
            if run_once:
                return


def _text(event: ReceivedEvent) -> str:
    name = event.resource.get("prefect.resource.name")
    return f"{event.occurred.isoformat()} {event.event} {event.resource.id}{f' ({name})' if name else ''}"


@group.command("emit")
@click.argument("event")
@click.option("-r", "--resource", "resources", multiple=True, metavar="NAME=VALUE|JSON", help="A label of the resource, or all as JSON. Repeatable.")
@click.option("--resource-id", default=None, help="What the event is about; the same as -r prefect.resource.id=ID.")
@click.option("--related", default=None, metavar="JSON", help="Related resources: an object, or a list of them.")
@click.option("-p", "--payload", default=None, metavar="JSON", help="What else there is to tell, an object.")
@output_option
def emit_one(event: str, resources: tuple[str, ...], resource_id: str | None, related: str | None, payload: str | None, output: str | None) -> None:
    """Emit the event named EVENT, as order.shipped."""
    from pydantic import ValidationError

    from headrace.client.patience import patience
    from headrace.client.recording import spool
    from headrace.model.errors import ServerUnreachable
    from headrace.objects.events import emit_event

    labels = _labels(resources)
    if resource_id is not None:
        labels["prefect.resource.id"] = resource_id
    if not labels.get("prefect.resource.id"):
        raise click.UsageError("An event is about something: give --resource-id, or -r prefect.resource.id=ID.")
    others: Any = _json(related, "--related", (dict, list))
    told = _json(payload, "--payload", (dict,))
    try:
        made = emit_event(event, labels, related=_listed(others), payload=told)
    except ValidationError as error:
        fail("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors()), code=2)
    try:
        with patience(FIRST_ANSWER_SECONDS_MAX):
            spool().flush()
    except ServerUnreachable as error:
        fail(str(error), "The event is kept, and sent by the next command that reaches the server.", UNREACHABLE)
    if output is not None:
        emit(made, output)
    else:
        click.echo(f"Emitted event {made.event!r} ({made.id}).")


def _labels(resources: tuple[str, ...]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for given in resources:
        if given.lstrip().startswith("{"):
            labels |= {name: str(value) for name, value in _json(given, "--resource", (dict,)).items()}
            continue
        name, equals, value = given.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{given!r} should be NAME=VALUE or a JSON object.", param_hint="--resource")
        labels[name] = value
    return labels


def _json(text: str | None, option: str, kinds: tuple[type, ...]) -> Any:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"It is no valid JSON: {error}", param_hint=option) from error
    if not isinstance(found, kinds):
        wanted = "an object" if kinds == (dict,) else "an object or a list"
        raise click.BadParameter(f"It must be {wanted}, not {type(found).__name__}.", param_hint=option)
    return found


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list) else [] if found is None else [found]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # what the user wrote
