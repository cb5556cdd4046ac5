"""Google Cloud in headrace flows. Names are imported when they are used, so that `import headrace_gcp` costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_gcp.cloud_storage import GcsBucket
    from headrace_gcp.credentials import GcpCredentials

__all__ = ["GcpCredentials", "GcsBucket"]


def __getattr__(name: str) -> Any:
    if name == "GcpCredentials":
        from headrace_gcp.credentials import GcpCredentials

        return GcpCredentials
    if name == "GcsBucket":
        from headrace_gcp.cloud_storage import GcsBucket

        return GcsBucket
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
