"""What plugins may say of the connection to the database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FLOW = "from headrace import flow\n\n@flow\ndef work():\n    return 1\n\nprint(work())\n"


def _run_with_plugin(folder: Path, answer: str, enabled: bool) -> subprocess.CompletedProcess[str]:
    package = folder / "headrace_tokens"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(
        "import pathlib\nfrom headrace.plugin import hookimpl\n\n@hookimpl\ndef headrace_database_connection(context):\n"
        f"    pathlib.Path({str(folder / 'asked')!r}).write_text(context.connection_url)\n    return {answer}\n"
    )
    info = folder / "headrace_tokens-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: headrace-tokens\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.plugins]\ntokens = headrace_tokens.plugin\n")
    environment = {**os.environ, "PYTHONPATH": str(folder), "HEADRACE_PLUGINS_ENABLED": "1" if enabled else "0"}
    return subprocess.run([sys.executable, "-c", FLOW], capture_output=True, text=True, env=environment, timeout=60)


def test_a_plugin_gives_arguments_of_the_connection(tmp_path: Path, home: Path) -> None:
    ended = _run_with_plugin(tmp_path, "{'timeout': 7.5}", enabled=True)

    assert ended.stdout.strip() == "1", ended.stderr
    assert (tmp_path / "asked").read_text() == f"sqlite:///{home / 'headrace.db'}"


def test_plugins_are_not_asked_while_their_hooks_are_off(tmp_path: Path) -> None:
    ended = _run_with_plugin(tmp_path, "{'timeout': 7.5}", enabled=False)

    assert ended.stdout.strip() == "1", ended.stderr
    assert not (tmp_path / "asked").exists()


def test_an_argument_that_the_driver_refuses_is_told_with_the_hook(tmp_path: Path) -> None:
    ended = _run_with_plugin(tmp_path, "{'pasword': 'x'}", enabled=True)

    assert ended.returncode == 1
    assert "headrace_database_connection" in ended.stderr
    assert "HEADRACE_PLUGINS_ENABLED=0" in ended.stderr
