"""What a command exits with, and how an error is told. One table for all commands.

0 done · 1 refused, or the run failed · 2 wrong usage · 3 not permitted · 4 not found · 5 a fault of the program or the server
· 6 the run was cancelled · 7 the server cannot be reached · 8 not done in time · 130 interrupted (128 and the number of the signal)
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headrace.model.states import StateType

REFUSED = 1
USAGE = 2
NOT_PERMITTED = 3
NOT_FOUND = 4
FAULT = 5
CANCELLED = 6
UNREACHABLE = 7
TIMED_OUT = 8
SIGNALLED = 128
INTERRUPTED = SIGNALLED + 2


def report(error: Exception, debug: bool = False) -> int:
    """Tell an error on stderr and return the status to exit with: one line and a hint, or with `debug` the traceback."""
    from headrace.model.errors import HeadraceException

    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, HeadraceException | OSError):
        if not debug:
            click.echo(f"Error: {error}", err=True)
        return status_of(error)
    if not debug:
        click.echo(f"Error: Unexpected {type(error).__name__}: {error}", err=True)
        click.echo("Hint: This is a fault of headrace. Run it again as `headrace --debug ...` for a report with the traceback.", err=True)
    return FAULT


def status_of(error: Exception) -> int:
    """Return the status that an error of ours exits with."""
    from headrace.model.errors import HeadraceHTTPStatusError, ObjectNotFound, ServerUnreachable

    if isinstance(error, ServerUnreachable):
        return UNREACHABLE
    if isinstance(error, HeadraceHTTPStatusError):
        return NOT_PERMITTED if error.status in (401, 403) else FAULT if error.status >= 500 else REFUSED
    return NOT_FOUND if isinstance(error, ObjectNotFound) else REFUSED


def status_of_run(state: StateType | None) -> int:
    """Return what a command that waited for a run exits with: 0 completed, 6 cancelled, else 1."""
    from headrace.model.states import StateType

    if state is StateType.COMPLETED:
        return 0
    return CANCELLED if state in (StateType.CANCELLED, StateType.CANCELLING) else REFUSED
