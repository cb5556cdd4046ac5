"""`headrace global-concurrency-limit`: limits that code holds slots of by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call, collect, limit_option, local

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.model.concurrency import GlobalConcurrencyLimitResponse

_COMPLETED_MAX = 200


def complete_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of the limits to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(one.name) for one in _limits(_COMPLETED_MAX) if one.name.startswith(typed)]


@click.group("global-concurrency-limit", cls=Group)
def group() -> None:
    """Limit what uses a name at once, anywhere."""


@group.command("ls")
@limit_option(100)
@output_option
def list_limits(limit: int, output: str | None) -> None:
    """List the limits by name."""
    limits = _limits(limit)
    rows = [
        (one.name, one.limit, one.active_slots, one.slot_decay_per_second, "yes" if one.active else "no", one.id, local(one.updated))
        for one in limits
    ]
    emit(limits, output, (("name", "limit", "active slots", "decay per second", "enabled", "id", "updated"), rows))


@group.command()
@click.argument("name", shell_complete=complete_names)
@click.option("-f", "--file", default=None, type=click.File("w"), metavar="FILE", help="Write the limit to this file, as JSON.")
@output_option
def inspect(name: str, file: IO[str] | None, output: str | None) -> None:
    """Show a limit."""
    found = _find(name)
    if file is not None:
        file.write(found.model_dump_json(indent=2) + "\n")
        click.echo(f"Wrote the limit {name!r} to {file.name}.", err=True)
    else:
        emit(found, output)


@group.command()
@click.argument("name")
@click.option("-l", "--limit", type=click.IntRange(min=0), required=True, help="How many slots there are.")
@click.option("--disable", is_flag=True, help="Do not limit anything yet.")
@click.option("--active-slots", type=click.IntRange(min=0), default=0, help="How many slots are taken to begin with.")
@click.option("--slot-decay-per-second", type=click.FloatRange(min=0), default=0.0, help="How many slots come free each second: a rate limit.")
@output_option
def create(name: str, limit: int, disable: bool, active_slots: int, slot_decay_per_second: float, output: str | None) -> None:
    """Create a limit."""
    from headrace.model.concurrency import ConcurrencyLimitV2Create
    from headrace.model.endpoints.concurrency import CREATE_LIMIT

    values = {"limit": limit, "active": not disable, "active_slots": active_slots, "slot_decay_per_second": slot_decay_per_second}
    made = _refusals_told(lambda: call(CREATE_LIMIT, ConcurrencyLimitV2Create.model_validate({"name": name, **values})))
    if output:
        emit(made, output)
    else:
        click.echo(f"Created the limit {name!r} of {limit} slot(s).")


@group.command()
@click.argument("name", shell_complete=complete_names)
@click.option("--enable", is_flag=True, help="Let the limit work.")
@click.option("--disable", is_flag=True, help="Let the limit not limit anything.")
@click.option("-l", "--limit", type=click.IntRange(min=0), default=None, help="How many slots there are.")
@click.option("--active-slots", type=click.IntRange(min=0), default=None, help="How many slots are taken; leases beyond that are revoked.")
@click.option("--slot-decay-per-second", type=click.FloatRange(min=0), default=None, help="How many slots come free each second.")
@output_option
def update(
    name: str,
    enable: bool,
    disable: bool,
    limit: int | None,
    active_slots: int | None,
    slot_decay_per_second: float | None,
    output: str | None,
) -> None:
    """Change a limit."""
    if enable and disable:
        raise click.UsageError("--enable and --disable exclude each other.")
    values: dict[str, Any] = {"limit": limit, "active_slots": active_slots, "slot_decay_per_second": slot_decay_per_second}
    changes = {field: value for field, value in values.items() if value is not None}
    if enable or disable:
        changes["active"] = enable
    if not changes:
        raise click.UsageError("Say what to change: --limit, --active-slots, --slot-decay-per-second, --enable or --disable.")
    _change(name, changes, f"Changed the limit {name!r}.", output)


@group.command()
@click.argument("name", shell_complete=complete_names)
@output_option
def enable(name: str, output: str | None) -> None:
    """Let a limit work."""
    if _find(name).active:
        fail(f"The limit {name!r} is enabled already.")
    _change(name, {"active": True}, f"Enabled the limit {name!r}.", output)


@group.command()
@click.argument("name", shell_complete=complete_names)
@output_option
def disable(name: str, output: str | None) -> None:
    """Let a limit not limit anything."""
    if not _find(name).active:
        fail(f"The limit {name!r} is disabled already.")
    _change(name, {"active": False}, f"Disabled the limit {name!r}.", output)


@group.command()
@click.argument("name", shell_complete=complete_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete a limit."""
    from headrace.model.endpoints.concurrency import DELETE_LIMIT

    found = _find(name)
    confirm_delete(f"limit {name!r}", yes)
    call(DELETE_LIMIT, id_or_name=found.id)
    click.echo(f"Deleted the limit {name!r}.")


def _change(name: str, changes: dict[str, Any], done: str, output: str | None) -> None:
    from headrace.model.concurrency import ConcurrencyLimitV2Update
    from headrace.model.endpoints.concurrency import UPDATE_LIMIT

    found = _find(name)
    _refusals_told(lambda: call(UPDATE_LIMIT, ConcurrencyLimitV2Update.model_validate(changes), id_or_name=found.id))
    if output:
        emit(_find(name), output)
    else:
        click.echo(done)


def _refusals_told(act: Any) -> Any:
    from pydantic import ValidationError

    from headrace.model.errors import ObjectAlreadyExists

    try:
        return act()
    except ValidationError as error:
        fail("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors()))
    except ObjectAlreadyExists as error:
        fail(str(error), "`headrace global-concurrency-limit update` changes it.")


def _limits(limit: int) -> list[GlobalConcurrencyLimitResponse]:
    from headrace.model.concurrency import FilterConcurrencyLimits
    from headrace.model.endpoints.concurrency import FILTER_LIMITS

    def fetch(offset: int, count: int) -> Sequence[GlobalConcurrencyLimitResponse]:
        return call(FILTER_LIMITS, FilterConcurrencyLimits(offset=offset, limit=count))

    return collect(limit, fetch)


def _find(name: str) -> GlobalConcurrencyLimitResponse:
    from headrace.model.endpoints.concurrency import READ_LIMIT
    from headrace.model.errors import ObjectNotFound, near

    try:
        return call(READ_LIMIT, id_or_name=name)
    except ObjectNotFound:
        hint = near(name, [one.name for one in _limits(_COMPLETED_MAX)]) or "`headrace global-concurrency-limit ls` lists them."
        fail(f"There is no concurrency limit {name!r}.", hint, 4)
