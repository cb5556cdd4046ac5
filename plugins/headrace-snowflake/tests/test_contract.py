"""What headrace expects of every plugin."""

import json
import os
import subprocess
import sys
from pathlib import Path

from headrace.testing import PluginContract

CREDENTIALS = {"account": "nh12345.us-east-2", "user": "marvin", "password": "paranoid-android", "role": "analyst"}


class TestContract(PluginContract):
    plugin = "snowflake"
    block_examples = {
        "snowflake-credentials": CREDENTIALS,
        "snowflake-connector": {"credentials": CREDENTIALS, "database": "guide", "warehouse": "compute_wh", "schema": "public"},
    }


def test_the_sdk_is_imported_when_it_is_used() -> None:
    names = "headrace_snowflake.database, headrace_snowflake.experimental.workers.spcs"
    code = f"import sys, {names}; print([name for name in sys.modules if name.partition('.')[0] in ('snowflake', 'cryptography', 'pandas')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_documented_command_registers_the_blocks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headrace", "block", "register", "-m", "headrace_snowflake", "--output", "json"]
    done = subprocess.run(command, env={**os.environ, "HEADRACE_HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {one["slug"] for one in json.loads(done.stdout)} == {"snowflake-credentials", "snowflake-connector"}
