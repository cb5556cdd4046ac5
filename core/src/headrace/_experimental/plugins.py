"""Front desk: the documented home of the startup hook. The same names live in `headrace.plugins`."""

from __future__ import annotations

from headrace.plugin import HookContext, SetupResult, SetupSummary, hookimpl, register_hook, run_startup_hooks

__all__ = ["HookContext", "SetupResult", "SetupSummary", "hookimpl", "register_hook", "run_startup_hooks"]
