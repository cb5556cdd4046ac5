"""`headrace server services`: listed, and run in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from headrace.cli.background import Background
from headrace.cli.main import main
from headrace.model import clock


@pytest.fixture
def background(home: Path) -> Generator[Background, None, None]:
    found = Background(home, "services")
    yield found
    running = found.running()
    if running is not None:
        os.kill(running[0], signal.SIGKILL)


def test_ls_says_what_is_enabled_and_what_switches_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_SERVICES_FOREMAN_ENABLED", "false")
    assert main(["server", "services", "ls", "--output", "json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["Foreman"]["enabled"] is False and listed["MarkLateRuns"]["enabled"] is True
    assert listed["MarkLateRuns"]["environment_variable"] == "HEADRACE_SERVER_SERVICES_LATE_RUNS_ENABLED"
    assert main(["server", "services", "list-services"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["NAME", "ENABLED"]
    assert any(line.split()[:2] == ["Foreman", "no"] for line in lines)


def test_services_run_in_the_background_until_they_are_stopped(background: Background, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "services", "start", "--background"]) == 0
    running = background.running()
    assert running is not None
    pid = running[0]
    assert f"(process {pid})" in capsys.readouterr().out
    assert main(["server", "services", "start"]) == 1
    assert f"run already, in process {pid}" in capsys.readouterr().err
    assert main(["server", "services", "stop"]) == 0
    assert background.running() is None and not background.file.exists()
    assert f"Stopped the services (process {pid})" in capsys.readouterr().out


def test_stop_says_that_none_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "services", "stop"]) == 1
    assert "No services run." in capsys.readouterr().err


def test_file_of_a_killed_process_is_not_believed(background: Background) -> None:
    background.file.parent.mkdir(parents=True)
    background.file.write_text(json.dumps({"pid": os.getpid(), "url": ""}))
    assert main(["server", "services", "start", "--background"]) == 0
    running = background.running()
    assert running is not None and running[0] != os.getpid()


def test_background_start_that_fails_says_why(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", "mongodb://somewhere/else")
    assert main(["server", "services", "start", "--background"]) == 1
    shown = capsys.readouterr().err
    assert "ended with status" in shown and "mongodb" in shown and "services.log" in shown


def test_services_in_the_foreground_stop_at_a_signal(home: Path) -> None:
    command = [sys.executable, "-u", "-m", "headrace", "server", "services", "start"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "HEADRACE_HOME": str(home)})
    assert process.stdout is not None
    assert "MarkLateRuns" in process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == ""


@pytest.mark.needs_server
def test_background_services_write_their_troubles_to_their_log(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "postgresql://me:secret@127.0.0.1:9/none"  # nothing listens there
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", nobody)
    assert main(["server", "services", "start", "--background"]) == 0
    deadline = clock.monotonic() + 30
    while "waits for the database" not in background.log.read_text() and clock.monotonic() < deadline:
        clock.sleep(0.05)
    assert main(["server", "services", "stop"]) == 0
    told = background.log.read_text()
    assert "waits for the database" in told and "127.0.0.1" in told
    assert "Traceback" not in told and "secret" not in told


def test_services_that_are_all_disabled_are_not_started(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    main(["server", "services", "ls", "-o", "json"])
    for one in json.loads(capsys.readouterr().out):
        monkeypatch.setenv(one["environment_variable"], "[]" if "VACUUM" in one["environment_variable"] else "false")
    from headrace.settings import refresh_global_settings_context

    refresh_global_settings_context()
    assert main(["server", "services", "start"]) == 1
    assert "No service is enabled." in capsys.readouterr().err
