"""The plugin room: what plugins offer, how they are found, read and called. Nothing is imported before it is asked for.

Plugin authors need `Offer`, `hookimpl` and the startup classes from here. See docs/plugins.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.plugin.marker import hookimpl, register_hook
from headrace.plugin.offers import HOOK_API_VERSION, Check, Kind, Offer, PluginRecord, PluginState

if TYPE_CHECKING:
    from headrace.plugin.registry import Registry, get_registry
    from headrace.plugin.startup import DatabaseContext, HookContext, SetupResult, SetupSummary, run_startup_hooks

__all__ = [
    "HOOK_API_VERSION",
    "Check",
    "DatabaseContext",
    "HookContext",
    "Kind",
    "Offer",
    "PluginRecord",
    "PluginState",
    "Registry",
    "SetupResult",
    "SetupSummary",
    "get_registry",
    "hookimpl",
    "register_hook",
    "run_startup_hooks",
]

_STARTUP = {"DatabaseContext", "HookContext", "SetupResult", "SetupSummary", "run_startup_hooks"}


def __getattr__(name: str) -> Any:
    if name in _STARTUP:
        from headrace.plugin import startup

        return getattr(startup, name)
    if name in {"Registry", "get_registry"}:
        from headrace.plugin import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
