"""`headrace concurrency-limit`: how many tasks with a tag run at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call, collect, limit_option, local

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.model.concurrency import ConcurrencyLimit

_COMPLETED_MAX = 200


def complete_tags(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the tags that have limits to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(one.tag) for one in _limits(_COMPLETED_MAX) if one.tag.startswith(typed)]


@click.group("concurrency-limit", cls=Group)
def group() -> None:
    """Limit how many tasks with a tag run at once."""


@group.command()
@click.argument("tag")
@click.argument("concurrency_limit", type=click.IntRange(min=0))
@output_option
def create(tag: str, concurrency_limit: int, output: str | None) -> None:
    """Limit a tag, or change its limit. With 0 no task with the tag runs."""
    from headrace.model.concurrency import ConcurrencyLimitCreate
    from headrace.model.endpoints.concurrency import CREATE_TAG_LIMIT

    made = call(CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag=tag, concurrency_limit=concurrency_limit))
    if output:
        emit(made, output)
    else:
        click.echo(f"At most {concurrency_limit} task(s) with the tag {tag!r} run at once.")


@group.command()
@click.argument("tag", shell_complete=complete_tags)
@output_option
def inspect(tag: str, output: str | None) -> None:
    """Show the limit of a tag, and the task runs that hold its slots."""
    emit(_find(tag), output)


@group.command("ls")
@limit_option(15)
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True, help="Leave out this many.")
@output_option
def list_limits(limit: int, offset: int, output: str | None) -> None:
    """List the limits of tags."""
    limits = _limits(limit, offset)
    rows = [(one.tag, one.concurrency_limit, len(one.active_slots), one.id, local(one.created)) for one in limits]
    emit(limits, output, (("tag", "limit", "active", "id", "created"), rows))


@group.command()
@click.argument("tag", shell_complete=complete_tags)
def reset(tag: str) -> None:
    """Free all slots of a tag, whoever holds them."""
    from headrace.model.concurrency import ResetTagLimit
    from headrace.model.endpoints.concurrency import RESET_TAG_LIMIT

    _find(tag)
    call(RESET_TAG_LIMIT, ResetTagLimit(), tag=tag)
    click.echo(f"All slots of the tag {tag!r} are free.")


@group.command()
@click.argument("tag", shell_complete=complete_tags)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(tag: str, yes: bool) -> None:
    """Delete the limit of a tag."""
    from headrace.model.endpoints.concurrency import DELETE_TAG_LIMIT_BY_TAG

    _find(tag)
    confirm_delete(f"the limit of the tag {tag!r}", yes)
    call(DELETE_TAG_LIMIT_BY_TAG, tag=tag)
    click.echo(f"Deleted the limit of the tag {tag!r}.")


def _limits(limit: int, start: int = 0) -> list[ConcurrencyLimit]:
    from headrace.model.concurrency import FilterConcurrencyLimits
    from headrace.model.endpoints.concurrency import FILTER_TAG_LIMITS

    def fetch(offset: int, count: int) -> Sequence[ConcurrencyLimit]:
        return call(FILTER_TAG_LIMITS, FilterConcurrencyLimits(offset=start + offset, limit=count))

    return collect(limit, fetch)


def _find(tag: str) -> ConcurrencyLimit:
    from headrace.model.endpoints.concurrency import READ_TAG_LIMIT_BY_TAG
    from headrace.model.errors import ObjectNotFound, near

    try:
        return call(READ_TAG_LIMIT_BY_TAG, tag=tag)
    except ObjectNotFound:
        hint = near(tag, [one.tag for one in _limits(_COMPLETED_MAX)]) or "`headrace concurrency-limit ls` lists them."
        fail(f"The tag {tag!r} has no limit.", hint, 4)
