"""The original's unmodified client, in its own environment, against our server.

`COMPAT_PYTHON` names the interpreter that has it (`nox -s compat` sets it). Each script in `scripts/` is what one of its users would write.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headrace.client.orchestration import SyncHeadraceClient, get_client
from headrace.client.schemas.filters import FlowFilter, LogFilter, TaskRunFilter
from headrace.settings import HEADRACE_API_AUTH_STRING, HEADRACE_API_URL, temporary_settings
from headrace.testing.server import ServerProcess, server_process

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE_SECONDS = 120.0
LOOK_AGAIN_SECONDS = 0.1


@dataclass
class Foreigner:
    """A user of the original: an interpreter, a home, and the address of our server."""

    python: Path
    home: Path
    api_url: str
    variables: dict[str, str] = field(default_factory=dict)
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.3",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "COLUMNS": "250",
        }
        return {**own, **self.variables}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command that goes on beside the test; it is ended with it."""
        process = subprocess.Popen(
            words, cwd=self.home, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._running.append(process)
        return process

    def script(self, name: str, *words: str) -> Any:
        """Run a script to its end and return what its last line says in JSON."""
        output = self.command(str(self.python), str(SCRIPTS / f"{name}.py"), *words)
        return json.loads(output.rstrip().rpartition("\n")[2])

    def start_script(self, name: str, *words: str) -> subprocess.Popen[str]:
        return self.start(str(self.python), "-u", str(SCRIPTS / f"{name}.py"), *words)

    def cli(self, *words: str) -> str:
        """Run a command of the original's command line."""
        return self.command(str(self.python.parent / "prefect"), *words)

    def command(self, *words: str) -> str:
        process = self.start(*words)
        try:
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            output, _ = process.communicate()
            pytest.fail(f"{' '.join(words)} did not end within {PATIENCE_SECONDS:.0f} s:\n{output[-6000:]}")
        assert process.returncode == 0, f"{' '.join(words)} ended with {process.returncode}:\n{output[-6000:]}"
        return output

    def end(self) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, 15)
        for process in self._running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture(scope="session")
def foreign_python() -> Path:
    named = os.environ.get("COMPAT_PYTHON")
    if named is None:
        pytest.fail("COMPAT_PYTHON is not set: run these tests with `nox -s compat`.")
    return Path(named)


@pytest.fixture
def server_settings() -> dict[str, str]:
    """Settings of the server; a test overrides this."""
    return {}


@pytest.fixture
def server(tmp_path: Path, server_settings: dict[str, str]) -> Iterator[ServerProcess]:
    with server_process(environment={"HEADRACE_HOME": str(tmp_path / "server-home"), **server_settings}) as process:
        yield process


@pytest.fixture
def user(foreign_python: Path, server: ServerProcess, tmp_path: Path) -> Iterator[Foreigner]:
    home = tmp_path / "user"
    home.mkdir()
    foreigner = Foreigner(foreign_python, home, server.url)
    yield foreigner
    foreigner.end()


def eventually(look: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(LOOK_AGAIN_SECONDS)
    raise AssertionError(f"Nothing to see after {seconds:.0f} s.")


@pytest.fixture
def ours(server: ServerProcess, server_settings: dict[str, str]) -> Iterator[SyncHeadraceClient]:
    """Our own client of the same server."""
    secret = server_settings.get("HEADRACE_SERVER_API_AUTH_STRING")
    with temporary_settings({HEADRACE_API_URL: server.url, **({HEADRACE_API_AUTH_STRING: secret} if secret else {})}):
        yield get_client(sync_client=True)


def task_runs_of(ours: SyncHeadraceClient, flow_run_id: UUID) -> list[Any]:
    return ours.read_task_runs(task_run_filter=TaskRunFilter.model_validate({"flow_run_id": {"any_": [flow_run_id]}}))


def all_completed(runs: list[Any], count: int) -> list[Any] | None:
    return runs if len(runs) == count and all(run.state_name == "Completed" for run in runs) else None


def lines_of(ours: SyncHeadraceClient, flow_run_id: UUID) -> list[str]:
    return [line.message for line in ours.read_logs(LogFilter.model_validate({"flow_run_id": {"any_": [flow_run_id]}}))]


def runs_of(ours: SyncHeadraceClient, flow: str) -> list[Any]:
    return ours.read_flow_runs(flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}))
