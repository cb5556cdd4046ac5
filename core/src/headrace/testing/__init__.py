"""What headrace's own tests and those of plugins stand on: conformance suites to inherit. Loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.testing.database_contract import DatabaseContract
    from headrace.testing.filesystem_contract import FilesystemContract
    from headrace.testing.lock_contract import LockContract
    from headrace.testing.object_store_contract import ObjectStoreContract
    from headrace.testing.plugin_contract import PluginContract
    from headrace.testing.remote_job_contract import RemoteJobContract
    from headrace.testing.worker_contract import WorkerContract

__all__ = [
    "DatabaseContract",
    "FilesystemContract",
    "LockContract",
    "ObjectStoreContract",
    "PluginContract",
    "RemoteJobContract",
    "WorkerContract",
]


def __getattr__(name: str) -> Any:
    if name == "DatabaseContract":
        from headrace.testing.database_contract import DatabaseContract

        return DatabaseContract
    if name == "FilesystemContract":
        from headrace.testing.filesystem_contract import FilesystemContract

        return FilesystemContract
    if name == "LockContract":
        from headrace.testing.lock_contract import LockContract

        return LockContract
    if name == "ObjectStoreContract":
        from headrace.testing.object_store_contract import ObjectStoreContract

        return ObjectStoreContract
    if name == "PluginContract":
        from headrace.testing.plugin_contract import PluginContract

        return PluginContract
    if name == "RemoteJobContract":
        from headrace.testing.remote_job_contract import RemoteJobContract

        return RemoteJobContract
    if name == "WorkerContract":
        from headrace.testing.worker_contract import WorkerContract

        return WorkerContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
