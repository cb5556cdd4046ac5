"""How long those who call are willing to wait for a server that does not answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_seconds: ContextVar[float | None] = ContextVar("headrace_patience", default=None)
_first_seconds: ContextVar[float | None] = ContextVar("headrace_first_patience", default=None)


@contextmanager
def patience(seconds: float) -> Generator[None, None, None]:
    """Have calls in this block repeated for `seconds` while the server does not answer; 0 tries once."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


@contextmanager
def first_answer_within(seconds: float) -> Generator[None, None, None]:
    """Have a server that has never answered waited for no longer than this: its address is wrong, or it is not running."""
    token = _first_seconds.set(seconds)
    try:
        yield
    finally:
        _first_seconds.reset(token)


def patience_seconds(has_answered: bool = True) -> float | None:
    """Return what the present code said, for a server that has answered before or not; None when the settings decide."""
    given = _seconds.get()
    return _first_seconds.get() if given is None and not has_answered else given
