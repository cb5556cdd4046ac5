"""Pickles of anything: functions made in a script or a notebook included. cloudpickle is imported when one is made or read."""

from __future__ import annotations

from typing import Any


def dumps(value: Any) -> bytes:
    """Pickle a value. Raises what pickling it raises, which may be anything: it can run a user's code."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]  # it has none

    return cloudpickle.dumps(value)  # pyright: ignore[reportUnknownMemberType]  # untyped


def loads(content: bytes) -> Any:
    """Read what `dumps` returned. To read is to run what it says: only what our own processes wrote."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]  # it has none

    return cloudpickle.loads(content)
