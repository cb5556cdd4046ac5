"""`headrace server database`: the schema of the server's database, brought up, taken down or made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from headrace.cli.config import is_interactive
from headrace.cli.groups import Group
from headrace.cli.render import fail

if TYPE_CHECKING:
    from headrace.server.database import Database

_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_dry_run = click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")


@click.group("database", cls=Group)
def group() -> None:
    """Look after the schema of the server's database."""


@group.command()
@_yes
@click.option("-r", "--revision", default="head", show_default=True, help="Go up to this revision.")
@_dry_run
def upgrade(yes: bool, revision: str, dry_run: bool) -> None:
    """Bring the schema up to a revision, the newest by default. A server does so at its start, unless migrate_on_start is off."""
    _move("upgrade", revision, yes, dry_run)


@group.command()
@_yes
@click.option("-r", "--revision", default="-1", show_default=True, help="Go down to this revision; -1 is the one before, base none at all.")
@_dry_run
def downgrade(yes: bool, revision: str, dry_run: bool) -> None:
    """Take the schema down to a revision. What only newer revisions hold is lost."""
    _move("downgrade", revision, yes, dry_run)


@group.command()
@click.argument("revision")
def stamp(revision: str) -> None:
    """Write down that the schema is at REVISION, without changing it: for a database whose schema was made by other means."""
    from headrace.server import database as upkeep

    database = upkeep.database_in_force()
    upkeep.move(database, "stamp", revision)
    click.echo(f"The schema is now said to be at {upkeep.current(database)}.")


@group.command()
@_yes
def reset(yes: bool) -> None:
    """Delete everything in the database and make its schema anew."""
    from headrace.server import database as upkeep

    database = upkeep.database_in_force()
    _ask(f"Delete everything in {_shown(database)}?", yes)
    upkeep.reset(database)
    click.echo(f"Everything is deleted; the schema is at {upkeep.HEAD}.")


@group.command()
@click.option("-m", "--message", required=True, help="What the revision does, in a few words.")
@click.option("--autogenerate", is_flag=True, help="Write into it what the tables have and the newest revision has not.")
def revision(message: str, autogenerate: bool) -> None:
    """Draft a new revision of the schema, for those who develop headrace."""
    from headrace.server import database as upkeep

    click.echo(upkeep.draft(message, autogenerate=autogenerate))


def _move(step: Literal["upgrade", "downgrade"], revision: str, yes: bool, dry_run: bool) -> None:
    from headrace.server import database as upkeep

    database = upkeep.database_in_force()
    if dry_run:
        click.echo(upkeep.plan(database, step, revision))
        return
    before = upkeep.current(database)
    if step == "upgrade" and revision == "head" and before == upkeep.HEAD:
        click.echo(f"The schema is at {before}, the newest there is.")
        return
    _ask(f"{step.capitalize()} the schema of {_shown(database)} from {before or 'nothing'} to {revision}?", yes)
    upkeep.move(database, step, revision)
    click.echo(f"The schema is at {upkeep.current(database)}.")


def _ask(question: str, yes: bool) -> None:
    if yes:
        return
    if not is_interactive():
        fail("Nothing was changed, because nobody can be asked.", "Add --yes to do it.", 2)
    click.confirm(question, abort=True)


def _shown(database: Database) -> str:
    from headrace.cli.version import without_password

    return without_password(database.url)
