"""The older homes of bundles and decorators. `ecs` is imported when it is used: the commands for bundles do without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_aws.decorators import ecs

__all__ = ["ecs"]


def __getattr__(name: str) -> Any:
    if name == "ecs":
        from headrace_aws.decorators import ecs

        return ecs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
