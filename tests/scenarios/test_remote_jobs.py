"""Runs as jobs of a service, each a real process behind HTTP: a worker is killed, and the next of the pool takes over what it watched."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.workers import job_worker
from deploy.workers.job_service import JobService, job_service
from deploy.workers.job_worker import HutWorker
from headrace.client.orchestration import HeadraceClient, get_client
from headrace.client.schemas.actions import WorkPoolCreate
from headrace.settings import temporary_settings
from headrace.states import Cancelling
from headrace.testing.server import server_process
from scenarios.workers import all_ended, state_of, until

pytestmark = pytest.mark.scenario

SECONDS_MAX = 90
QUICK = {"HEADRACE_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "1", "HEADRACE_WORKER_QUERY_SECONDS": "2", "HEADRACE_WORKER_CANCELLATION_POLL_SECONDS": "1"}
WORKER = """
import asyncio, sys
from job_worker import HutWorker

asyncio.run(HutWorker(work_pool_name="huts", name=sys.argv[1], heartbeat_interval_seconds=1).start())
"""
FLOW = """
import os, time
from headrace import flow, get_run_logger

@flow
def patient():
    get_run_logger().info("It begins.")
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.05)
    return 7
"""


def test_the_next_worker_takes_over_what_a_killed_one_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "patient.py").write_text(FLOW)
    (tmp_path / "worker.py").write_text(WORKER)
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    with job_service() as jobs, server_process() as server, ExitStack() as held:
        monkeypatch.setenv("HEADRACE_API_URL", server.url)
        with temporary_settings({"HEADRACE_API_URL": server.url}):
            asyncio.run(asyncio.wait_for(_taken_over(held, tmp_path, jobs), SECONDS_MAX))


async def _taken_over(held: ExitStack, folder: Path, jobs: JobService) -> None:
    async with get_client() as client:
        deployment = await _deployed(client, folder, jobs)
        first = await _start(held, folder, "first")
        done, stopped, broken = [(await client.create_flow_run_from_deployment(deployment)).id for _ in range(3)]
        await until(lambda: _are_running(client, done, stopped, broken))
        first.send_signal(signal.SIGKILL)
        first.wait()
        await _start(held, folder, "second")
        await until(lambda: _are_watched_by(client, "second", done, stopped, broken))

        await client.set_flow_run_state(stopped, Cancelling())
        ended = {run.id: run for run in await all_ended(client, [stopped])}
        _job(jobs, broken).process.kill()
        ended |= {run.id: run for run in await all_ended(client, [broken])}
        (folder / "go").touch()
        ended |= {run.id: run for run in await all_ended(client, [done])}

        assert [state_of(ended[run]).name for run in (done, stopped, broken)] == ["Completed", "Cancelled", "Crashed"]
        assert "-9" in str(state_of(ended[broken]).message)
        assert len(jobs.jobs) == 3  # none was started twice
        await until(lambda: all(job.is_removed for job in jobs.jobs.values()))
        assert [log.message for log in await client.read_logs() if log.message == "It begins."] == ["It begins."] * 3


async def _deployed(client: HeadraceClient, folder: Path, jobs: JobService) -> UUID:
    await client.create_work_pool(WorkPoolCreate(name="huts", type="hut", base_job_template=HutWorker.get_default_base_job_template()))
    flow = await client.create_flow_from_name("patient")
    env = {"PATH": os.environ["PATH"], "GO": str(folder / "go"), "HEADRACE_HOME": os.environ["HEADRACE_HOME"]}
    variables: dict[str, Any] = {"service": jobs.url, "env": env, "command": f"exec {sys.executable} -m headrace flow-run execute"}
    return await client.create_deployment(
        flow_id=flow, name="patient", work_pool_name="huts", entrypoint="patient.py:patient", path=str(folder), job_variables=variables
    )


async def _start(held: ExitStack, folder: Path, name: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(job_worker.__file__).parent)}
    process = subprocess.Popen([sys.executable, "-u", str(folder / "worker.py"), name], stdout=subprocess.PIPE, env=environment)
    held.callback(process.wait)
    held.callback(process.kill)
    assert process.stdout is not None
    assert b"started" in await asyncio.to_thread(process.stdout.readline)
    return process


async def _are_running(client: HeadraceClient, *runs: UUID) -> bool:
    found = [await client.read_flow_run(run) for run in runs]
    return all(state_of(run).is_running() and run.infrastructure_pid for run in found)


async def _are_watched_by(client: HeadraceClient, worker: str, *runs: UUID) -> bool:
    return [(await client.read_flow_run(run)).labels.get("headrace.worker") for run in runs] == [worker] * len(runs)


def _job(jobs: JobService, run: UUID) -> Any:
    return next(job for job in jobs.jobs.values() if job.asked["labels"]["prefect.io/flow-run-id"] == str(run))
