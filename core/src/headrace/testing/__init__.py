"""What headrace's own tests and those of plugins stand on: conformance suites to inherit. Loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.testing.lock_contract import LockContract
    from headrace.testing.plugin_contract import PluginContract
    from headrace.testing.worker_contract import WorkerContract

__all__ = ["LockContract", "PluginContract", "WorkerContract"]


def __getattr__(name: str) -> Any:
    if name == "PluginContract":
        from headrace.testing.plugin_contract import PluginContract

        return PluginContract
    if name == "LockContract":
        from headrace.testing.lock_contract import LockContract

        return LockContract
    if name == "WorkerContract":
        from headrace.testing.worker_contract import WorkerContract

        return WorkerContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
