"""dbt's command line: commands, profiles and target configs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_dbt.cli.commands import DbtCoreOperation, trigger_dbt_cli_command
    from headrace_dbt.cli.configs import BigQueryTargetConfigs, GlobalConfigs, PostgresTargetConfigs, SnowflakeTargetConfigs, TargetConfigs
    from headrace_dbt.cli.credentials import DbtCliProfile

__all__ = [
    "BigQueryTargetConfigs",
    "DbtCliProfile",
    "DbtCoreOperation",
    "GlobalConfigs",
    "PostgresTargetConfigs",
    "SnowflakeTargetConfigs",
    "TargetConfigs",
    "trigger_dbt_cli_command",
]


def __getattr__(name: str) -> Any:
    if name in ("DbtCoreOperation", "trigger_dbt_cli_command"):
        from headrace_dbt.cli import commands as module
    elif name == "DbtCliProfile":
        from headrace_dbt.cli import credentials as module
    elif name in __all__:
        from headrace_dbt.cli import configs as module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)
