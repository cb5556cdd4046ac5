"""What headrace expects of every plugin."""

from __future__ import annotations

from typing import Any, ClassVar

from headrace.testing import PluginContract

TARGET = {"type": "redshift", "schema": "public", "extras": {"host": "example.com", "password": "hidden-1"}}


class TestContract(PluginContract):
    plugin = "dbt"
    block_examples: ClassVar[dict[str, dict[str, Any]]] = {
        "dbt-core-operation": {
            "commands": ["pwd", "dbt build"],
            "project_dir": "shop",
            "dbt_cli_profile": {"name": "shop", "target": "dev", "target_configs": TARGET},
        },
        "dbt-cli-profile": {"name": "shop", "target": "dev", "target_configs": TARGET, "global_configs": {"use_colors": False}},
        "dbt-cli-target-configs": TARGET,
        "dbt-cli-snowflake-target-configs": {"schema": "public", "connector": {"account": "hidden-7", "user": "hidden-8", "password": "hidden-2"}},
        "dbt-cli-bigquery-target-configs": {"schema": "public", "credentials": {"keyfile_json": {"private_key": "hidden-3"}}},
        "dbt-cli-postgres-target-configs": {"schema": "public", "credentials": {"host": "hidden-9", "password": "hidden-4"}},
        "dbt-cli-global-configs": {"use_colors": False},
        "dbt-cloud-credentials": {"api_key": "hidden-5", "account_id": 1},
        "dbt-cloud-job": {"dbt_cloud_credentials": {"api_key": "hidden-6", "account_id": 1}, "job_id": 2},
    }
