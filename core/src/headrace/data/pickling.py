"""Pickles of anything: functions made in a script or a notebook included. cloudpickle is imported when one is made or read."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType


def dumps(value: Any) -> bytes:
    """Pickle a value. Raises what pickling it raises, which may be anything: it can run a user's code."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]  # it has none

    return cloudpickle.dumps(value)  # pyright: ignore[reportUnknownMemberType]  # untyped


def loads(content: bytes) -> Any:
    """Read what `dumps` returned. To read is to run what it says: only what our own processes wrote."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]  # it has none

    return cloudpickle.loads(content)


@contextmanager
def by_value(modules: Sequence[ModuleType]) -> Generator[None]:
    """Pickle what is defined in these modules with its code, not by its name, while the block lasts."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]  # it has none

    tool: Any = cloudpickle
    for module in modules:
        tool.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            tool.unregister_pickle_by_value(module)
