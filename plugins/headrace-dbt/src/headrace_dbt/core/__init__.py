"""dbt in this process: the runner and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_dbt.core.runner import HeadraceDbtRunner
    from headrace_dbt.core.settings import HeadraceDbtSettings

__all__ = ["HeadraceDbtRunner", "HeadraceDbtSettings"]


def __getattr__(name: str) -> Any:
    if name == "HeadraceDbtRunner":
        from headrace_dbt.core.runner import HeadraceDbtRunner as found
    elif name == "HeadraceDbtSettings":
        from headrace_dbt.core.settings import HeadraceDbtSettings as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
