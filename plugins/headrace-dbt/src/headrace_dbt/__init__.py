"""dbt in headrace flows. Names are imported when they are used, so that `import headrace_dbt` costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_dbt.cli.commands import DbtCoreOperation
    from headrace_dbt.cli.configs import BigQueryTargetConfigs, GlobalConfigs, PostgresTargetConfigs, SnowflakeTargetConfigs, TargetConfigs
    from headrace_dbt.cli.credentials import DbtCliProfile
    from headrace_dbt.cloud.credentials import DbtCloudCredentials
    from headrace_dbt.cloud.jobs import DbtCloudJob
    from headrace_dbt.core.runner import HeadraceDbtRunner
    from headrace_dbt.core.settings import HeadraceDbtSettings

__all__ = [
    "BigQueryTargetConfigs",
    "DbtCliProfile",
    "DbtCloudCredentials",
    "DbtCloudJob",
    "DbtCoreOperation",
    "GlobalConfigs",
    "HeadraceDbtRunner",
    "HeadraceDbtSettings",
    "PostgresTargetConfigs",
    "SnowflakeTargetConfigs",
    "TargetConfigs",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.startswith("Headrace"):
        from headrace_dbt import core as home
    elif name.startswith("DbtCloud"):
        from headrace_dbt import cloud as home
    else:
        from headrace_dbt import cli as home
    return getattr(home, name)
