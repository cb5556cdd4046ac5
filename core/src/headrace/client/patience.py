"""How long those who call are willing to wait for a server that does not answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_seconds: ContextVar[float | None] = ContextVar("headrace_patience", default=None)


@contextmanager
def patience(seconds: float) -> Generator[None, None, None]:
    """Have calls in this block repeated for `seconds` while the server does not answer; 0 tries once."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


def patience_seconds() -> float | None:
    """Return what the present code said, or None when the settings decide."""
    return _seconds.get()
