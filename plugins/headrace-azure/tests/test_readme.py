"""The example of the README, run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from headrace.settings import get_current_settings
from headrace_azure import AzureBlobStorageCredentials

from .azurite import Azurite

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_is_said(azurite: Azurite, credentials: AzureBlobStorageCredentials) -> None:
    text = README.read_text(encoding="utf-8")
    code, said = re.findall(r"```python\n(.*?)```.*?this prints `(.*?)`", text, re.DOTALL)[0]
    credentials.get_container_client("headrace-example").create_container()
    Path("reports").mkdir()
    Path("reports/a.txt").write_text("the first report")
    Path("example.py").write_text(code)
    login = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string, "HEADRACE_HOME": str(get_current_settings().home)}
    done = subprocess.run([sys.executable, "example.py"], env={**os.environ, **login}, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == said
    assert "the first report" in done.stderr + done.stdout
