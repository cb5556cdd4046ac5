"""What headrace expects of every plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
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


def test_the_documented_command_registers_all_blocks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headrace", "block", "register", "-m", "headrace_dbt", "--output", "json"]
    done = subprocess.run(command, env={**os.environ, "HEADRACE_HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {one["slug"] for one in json.loads(done.stdout)} == set(TestContract.block_examples)


def test_dbt_is_imported_when_it_is_used() -> None:
    code = "import sys, headrace_dbt.cli.commands, headrace_dbt.cloud.jobs; print([name for name in sys.modules if name.partition('.')[0] == 'dbt'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
