"""A program that serves flows while its server goes away: it says so, its runs go on, and it goes on with new ones when the server is back."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest

from deploy.served import Served, create_run, ended, running, serving, until
from headrace.client.orchestration import get_client
from headrace.settings import temporary_settings
from headrace.testing.server import free_port, server_process

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(120)]

SCRIPT = """
    import time
    from pathlib import Path
    from headrace import flow

    @flow(log_prints=True)
    def work(hold: bool = False):
        while hold and Path("hold").exists():
            time.sleep(0.05)
        print("done")

    if __name__ == "__main__":
        work.serve("d", webserver=True)
"""


class World:
    """A server that comes and goes at one address, and a program that serves a flow."""

    def __init__(self, held: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._held = held
        self._port, self.health_port = free_port(), free_port()
        self.folder = folder
        url = f"http://127.0.0.1:{self._port}/api"
        monkeypatch.setenv("HEADRACE_API_URL", url)
        monkeypatch.setenv("HEADRACE_RUNNER_POLL_FREQUENCY", "1")
        monkeypatch.setenv("HEADRACE_RUNNER_SERVER_PORT", str(self.health_port))
        held.enter_context(temporary_settings({"HEADRACE_API_URL": url}))
        self.start_server()
        self.served: Served = held.enter_context(serving(folder, SCRIPT))

    def start_server(self) -> None:
        self._server = self._held.enter_context(server_process(port=self._port))

    def kill_server(self) -> None:
        self._server.stop(signal.SIGKILL)

    def asked(self, path: str) -> tuple[int, object]:
        try:
            with urllib.request.urlopen(f"http://localhost:{self.health_port}/{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def held_run(self) -> UUID:
        (self.folder / "hold").touch()
        return running(create_run("work/d", parameters={"hold": True}).id).id


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[World]:
    with ExitStack() as held:
        yield World(held, tmp_path, monkeypatch)


def test_runs_go_on_while_the_server_is_away_and_new_ones_come_when_it_is_back(world: World) -> None:
    run = world.held_run()
    assert world.asked("health")[0] == 200
    assert world.asked("run_count") == (200, 1)
    world.kill_server()
    until(lambda: world.asked("health")[0] == 503)
    (world.folder / "hold").unlink()
    world.served.await_line("done")
    world.start_server()
    assert ended(run).state_type == "COMPLETED"
    began = time.monotonic()
    assert ended(create_run("work/d").id).state_type == "COMPLETED"
    print("after the server was back, a run took", time.monotonic() - began, "seconds")
    until(lambda: world.asked("health")[0] == 200)
    assert world.served.stop(signal.SIGINT) == 0
    assert get_client(sync_client=True).read_deployment_by_name("work/d").paused


def test_the_program_ends_though_its_server_is_away_and_says_what_it_could_not_do(world: World) -> None:
    world.held_run()
    world.kill_server()
    until(lambda: world.asked("health")[0] == 503)
    assert world.served.stop(signal.SIGTERM) == 0
    assert "The deployments could not be paused, so their runs will pile up" in world.served.text
