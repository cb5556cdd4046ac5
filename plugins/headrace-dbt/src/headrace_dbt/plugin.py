"""What headrace-dbt offers."""

from __future__ import annotations

from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Offer the blocks of the command line's profiles and of dbt Cloud."""
    return [
        Offer("dbt-core-operation", "headrace_dbt.cli.commands:DbtCoreOperation", "dbt and shell commands that run in one script"),
        Offer("dbt-cli-profile", "headrace_dbt.cli.credentials:DbtCliProfile", "A profile that is written to profiles.yml"),
        Offer("dbt-cli-target-configs", "headrace_dbt.cli.configs.base:TargetConfigs", "Where dbt builds, for any adapter"),
        Offer("dbt-cli-snowflake-target-configs", "headrace_dbt.cli.configs.snowflake:SnowflakeTargetConfigs", "Where dbt builds in Snowflake"),
        Offer("dbt-cli-bigquery-target-configs", "headrace_dbt.cli.configs.bigquery:BigQueryTargetConfigs", "Where dbt builds in BigQuery"),
        Offer("dbt-cli-postgres-target-configs", "headrace_dbt.cli.configs.postgres:PostgresTargetConfigs", "Where dbt builds in PostgreSQL"),
        Offer("dbt-cli-global-configs", "headrace_dbt.cli.configs.base:GlobalConfigs", "How dbt prints, parses and fails"),
        Offer("dbt-cloud-credentials", "headrace_dbt.cloud.credentials:DbtCloudCredentials", "How to log in to dbt Cloud"),
        Offer("dbt-cloud-job", "headrace_dbt.cloud.jobs:DbtCloudJob", "A job of dbt Cloud, to be triggered and waited for"),
    ]
