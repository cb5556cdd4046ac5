"""Asking before something is destroyed."""

from __future__ import annotations

import click

from headrace.cli.config import is_interactive
from headrace.cli.render import fail


def confirm_delete(what: str, yes: bool) -> None:
    """Ask whether `what` may be deleted. Without `yes` and nobody to ask, end the command with status 2; with status 1 on a no."""
    if yes:
        return
    if not is_interactive():
        fail(f"{what[0].upper()}{what[1:]} was not deleted, because nobody can be asked.", "Add --yes to delete it.", 2)
    click.confirm(f"Delete {what}?", abort=True)
