"""Front desk: what plugin authors use, and the documented functions that load collections."""

from __future__ import annotations

from headrace.plugin import (
    HOOK_API_VERSION,
    Check,
    Kind,
    Offer,
    PluginRecord,
    PluginState,
    Registry,
    get_registry,
    hookimpl,
    register_hook,
)
from headrace.plugin.collections import load_headrace_collections, safe_load_entrypoints
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
    "load_headrace_collections",
    "register_hook",
    "run_startup_hooks",
    "safe_load_entrypoints",
]
