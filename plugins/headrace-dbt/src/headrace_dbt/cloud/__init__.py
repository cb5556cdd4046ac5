"""dbt Cloud: credentials, jobs and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_dbt.cli.commands import DbtCoreOperation
    from headrace_dbt.cloud.credentials import DbtCloudCredentials
    from headrace_dbt.cloud.jobs import DbtCloudJob

__all__ = ["DbtCloudCredentials", "DbtCloudJob", "DbtCoreOperation"]


def __getattr__(name: str) -> Any:
    if name == "DbtCloudCredentials":
        from headrace_dbt.cloud.credentials import DbtCloudCredentials as found
    elif name == "DbtCloudJob":
        from headrace_dbt.cloud.jobs import DbtCloudJob as found
    elif name == "DbtCoreOperation":  # the documented example loads it from here, too
        from headrace_dbt.cli.commands import DbtCoreOperation as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
