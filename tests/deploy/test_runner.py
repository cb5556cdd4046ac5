"""The runner, in this process: what it fetches and when, what its runs are told, and code that it keeps up to date."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.served import ended, read_run
from headrace import Flow
from headrace.client.orchestration import get_client
from headrace.exceptions import ConfigurationError
from headrace.model import clock
from headrace.runner import Runner
from headrace.settings import temporary_settings
from headrace.states import Scheduled
from headrace.testing.server import free_port

pytestmark = pytest.mark.usefixtures("api")

CODE = """
from pathlib import Path
from headrace import flow
from headrace.settings import get_current_settings

@flow
def work(notes: str):
    Path(notes).write_text(f"{get_current_settings().flows.heartbeat_frequency} {VERSION}")
"""


class Code:
    """Storage whose code is another at each pull."""

    def __init__(self, pull_interval: float | None = None) -> None:
        self.pull_interval = pull_interval
        self.pulls = 0
        self.pulled_again = asyncio.Event()
        self._folder = Path()

    def set_base_path(self, path: Path) -> None:
        self._folder = path

    @property
    def destination(self) -> Path:
        return self._folder / "code"

    async def pull_code(self) -> None:
        self.pulls += 1
        self.destination.mkdir(parents=True, exist_ok=True)
        (self.destination / "work.new").write_text(f"VERSION = {self.pulls}{CODE}")
        (self.destination / "work.new").replace(self.destination / "work.py")
        if self._folder.name.startswith("headrace-runner-") and self.pulls > 2:  # the flow's own pull, the runner's first, and this one
            self.pulled_again.set()

    def to_pull_step(self) -> dict[str, Any]:
        return {"headrace.deployments.steps.set_working_directory": {"directory": str(self.destination)}}


async def _added(runner: Runner, code: Code) -> UUID:
    source: Any = await Flow.afrom_source(code, "work.py:work")  # pyright: ignore[reportArgumentType]  # storage as users write it
    return await runner.aadd_deployment(await source.ato_deployment(runner.name))


def _run(deployment: UUID, notes: Path, later: float = 0) -> UUID:
    with get_client(sync_client=True) as client:
        state = Scheduled(scheduled_time=clock.now() + timedelta(seconds=later))
        return client.create_flow_run_from_deployment(deployment, parameters={"notes": str(notes)}, state=state).id


def test_runs_are_fetched_so_long_before_their_time_and_begin_at_it(tmp_path: Path) -> None:
    async def body(prefetch: float) -> UUID:
        runner = Runner(f"prefetch-{prefetch:g}", prefetch_seconds=prefetch)
        run = _run(await _added(runner, Code()), tmp_path / "notes", later=1.5)
        await runner.start(run_once=True)
        return run

    assert read_run(asyncio.run(body(0.1))).state_type == "SCHEDULED"
    run = ended(asyncio.run(body(30)))
    assert run.state_type == "COMPLETED"
    assert run.start_time is not None and run.expected_start_time is not None
    assert run.start_time >= run.expected_start_time


def test_runs_are_told_how_often_to_give_signs_of_life(tmp_path: Path) -> None:
    async def body() -> None:
        runner = Runner("beating", heartbeat_seconds=77)
        _run(await _added(runner, Code()), tmp_path / "notes")
        await runner.start(run_once=True)

    asyncio.run(body())
    assert (tmp_path / "notes").read_text().startswith("77 ")


def test_code_is_pulled_again_and_runs_use_what_came(tmp_path: Path) -> None:
    async def body() -> int:
        runner, code = Runner("pulling", query_seconds=0.2), Code(pull_interval=0.1)
        deployment = await _added(runner, code)
        working = asyncio.create_task(runner.start())
        await code.pulled_again.wait()
        run = _run(deployment, tmp_path / "notes")
        await asyncio.to_thread(ended, run)
        await runner.astop()
        await working
        return code.pulls

    pulls = asyncio.run(asyncio.wait_for(body(), 30))
    assert int((tmp_path / "notes").read_text().split()[1]) >= 3
    assert pulls >= 3


def test_a_taken_port_for_health_is_an_error_before_anything_runs() -> None:
    async def body() -> None:
        taken = await asyncio.start_server(_nobody, "127.0.0.1", port)
        async with taken:
            await Runner("deaf", webserver=True).start()

    port = free_port()
    taken = {"HEADRACE_RUNNER_SERVER_PORT": port, "HEADRACE_RUNNER_SERVER_HOST": "127.0.0.1"}
    with temporary_settings(taken), pytest.raises(ConfigurationError, match=str(port)):
        asyncio.run(body())


def _nobody(*_: Any) -> None: ...


def test_names_that_cannot_be_part_of_an_address_are_refused() -> None:
    for name in ("a/b", "50%"):
        with pytest.raises(ValueError, match=name):
            Runner(name)


def test_stopping_what_was_not_started_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        Runner("idle").stop()
