"""Google Cloud in headrace flows. Names are imported when they are used, so that `import headrace_gcp` costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_gcp.bigquery import BigQueryWarehouse
    from headrace_gcp.cloud_storage import GcsBucket
    from headrace_gcp.credentials import GcpCredentials
    from headrace_gcp.secret_manager import GcpSecret

__all__ = ["BigQueryWarehouse", "GcpCredentials", "GcpSecret", "GcsBucket"]


def __getattr__(name: str) -> Any:
    if name == "GcpCredentials":
        from headrace_gcp.credentials import GcpCredentials

        return GcpCredentials
    if name == "GcsBucket":
        from headrace_gcp.cloud_storage import GcsBucket

        return GcsBucket
    if name == "BigQueryWarehouse":
        from headrace_gcp.bigquery import BigQueryWarehouse

        return BigQueryWarehouse
    if name == "GcpSecret":
        from headrace_gcp.secret_manager import GcpSecret

        return GcpSecret
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
