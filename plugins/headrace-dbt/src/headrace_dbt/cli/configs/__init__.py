"""What goes into a profile: target configs for each kind of warehouse, and global configs."""

from headrace_dbt.cli.configs.base import GlobalConfigs, MissingExtrasRequireError, TargetConfigs
from headrace_dbt.cli.configs.bigquery import BigQueryTargetConfigs
from headrace_dbt.cli.configs.postgres import PostgresTargetConfigs
from headrace_dbt.cli.configs.snowflake import SnowflakeTargetConfigs

__all__ = [
    "BigQueryTargetConfigs",
    "GlobalConfigs",
    "MissingExtrasRequireError",
    "PostgresTargetConfigs",
    "SnowflakeTargetConfigs",
    "TargetConfigs",
]
