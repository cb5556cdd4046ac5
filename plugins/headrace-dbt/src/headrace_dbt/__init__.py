"""dbt in headrace flows. Names are imported when they are used, so that `import headrace_dbt` costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_dbt.cli.commands import DbtCoreOperation
    from headrace_dbt.cli.credentials import DbtCliProfile
    from headrace_dbt.cloud.credentials import DbtCloudCredentials
    from headrace_dbt.cloud.jobs import DbtCloudJob
    from headrace_dbt.core.runner import HeadraceDbtRunner
    from headrace_dbt.core.settings import HeadraceDbtSettings

__all__ = ["DbtCliProfile", "DbtCloudCredentials", "DbtCloudJob", "DbtCoreOperation", "HeadraceDbtRunner", "HeadraceDbtSettings"]


def __getattr__(name: str) -> Any:
    if name == "HeadraceDbtRunner":
        from headrace_dbt.core.runner import HeadraceDbtRunner as found
    elif name == "HeadraceDbtSettings":
        from headrace_dbt.core.settings import HeadraceDbtSettings as found
    elif name == "DbtCoreOperation":
        from headrace_dbt.cli.commands import DbtCoreOperation as found
    elif name == "DbtCliProfile":
        from headrace_dbt.cli.credentials import DbtCliProfile as found
    elif name == "DbtCloudCredentials":
        from headrace_dbt.cloud.credentials import DbtCloudCredentials as found
    elif name == "DbtCloudJob":
        from headrace_dbt.cloud.jobs import DbtCloudJob as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
