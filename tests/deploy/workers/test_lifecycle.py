"""A worker from its start to its end: what it takes, how much at once, when it stops, and what it says of its health."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from headrace.client.orchestration import HeadraceClient, get_client
from headrace.exceptions import ConfigurationError
from headrace.model import clock
from headrace.model.work_pools import WorkPoolCreate, WorkPoolUpdate
from headrace.settings import temporary_settings
from headrace.states import Cancelling, Scheduled
from headrace.testing.server import free_port, running_server
from headrace.workers import ProcessWorker
from headrace.workers.base import BaseJobConfiguration, BaseWorker, BaseWorkerResult
from headrace.workers.server import build_healthcheck_server
from headrace.workers.utilities import get_available_work_pool_types, get_default_base_job_template_for_infrastructure_type

SECONDS_MAX = 60


class Held(BaseWorker[BaseJobConfiguration, Any, BaseWorkerResult]):
    """Runs that go on until they are let go."""

    type = "held"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order: list[UUID] = []
        self.most = 0
        self.go = asyncio.Event()

    async def run(self, flow_run: Any, configuration: BaseJobConfiguration, task_status: Any = None) -> BaseWorkerResult:
        self.order.append(flow_run.id)
        self.most = max(self.most, self.running)
        task_status.started(str(flow_run.id))
        await self.go.wait()
        return BaseWorkerResult(identifier=str(flow_run.id), status_code=0)


async def _deployment(client: HeadraceClient, **options: Any) -> UUID:
    if await client.read_work_pools() == []:
        await client.create_work_pool(WorkPoolCreate(name="pool", type="held", base_job_template=Held.get_default_base_job_template()))
    return await client.create_deployment(flow_id=await client.create_flow_from_name("f"), work_pool_name="pool", **{"name": "d", **options})


def _run(body: Any) -> None:
    async def work() -> None:
        async with get_client() as client:
            await body(client)

    asyncio.run(asyncio.wait_for(work(), SECONDS_MAX))


def test_two_workers_never_take_the_same_run() -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        made = {(await client.create_flow_run_from_deployment(deployment)).id for _ in range(10)}
        async with Held("pool") as one, Held("pool") as other:
            await asyncio.gather(one.get_and_submit_flow_runs(), other.get_and_submit_flow_runs())
            while len(one.order) + len(other.order) < len(made):
                await asyncio.sleep(0.01)
            one.go.set()
            other.go.set()
        assert sorted([*one.order, *other.order]) == sorted(made)

    _run(body)


def test_a_limit_holds_and_a_free_place_is_used() -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        for _ in range(3):
            await client.create_flow_run_from_deployment(deployment)
        async with Held("pool", limit=2) as worker:
            assert len(await worker.get_and_submit_flow_runs()) == 2
            assert await worker.get_and_submit_flow_runs() == []
            worker.go.set()
            while worker.running:
                await asyncio.sleep(0.01)
            assert len(await worker.get_and_submit_flow_runs()) == 1
        assert worker.most == 2

    _run(body)


def test_queues_come_by_priority_and_others_not_at_all() -> None:
    async def body(client: HeadraceClient) -> None:
        await _deployment(client)
        for name, priority in (("low", 9), ("high", 1), ("other", 2)):
            await client.create_work_queue(name, priority=priority, work_pool_name="pool")
        made = {name: await _deployment(client, name=name, work_queue_name=name) for name in ("low", "high", "other")}
        runs = {name: (await client.create_flow_run_from_deployment(id)).id for name, id in made.items()}
        async with Held("pool", work_queues=["low", "high"]) as worker:
            submitted = await worker.get_and_submit_flow_runs()
            worker.go.set()
        assert [run.id for run in submitted] == [runs["high"], runs["low"]]

    _run(body)


def test_a_run_is_taken_so_long_before_its_time_and_not_earlier() -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        soon = Scheduled(scheduled_time=clock.now() + timedelta(seconds=30))
        await client.create_flow_run_from_deployment(deployment, state=soon)
        async with Held("pool", prefetch_seconds=5) as worker:
            assert await worker.get_and_submit_flow_runs() == []
        async with Held("pool", prefetch_seconds=60) as worker:
            assert len(await worker.get_and_submit_flow_runs()) == 1
            worker.go.set()

    _run(body)


def test_a_paused_pool_gives_nothing_and_a_pool_of_another_type_neither() -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        await client.create_flow_run_from_deployment(deployment)
        await client.update_work_pool("pool", WorkPoolUpdate(is_paused=True))
        async with Held("pool") as worker, ProcessWorker("pool") as other:
            await worker.sync_with_backend()
            assert not worker.is_ready
            assert await worker.get_and_submit_flow_runs() == []
            await client.update_work_pool("pool", WorkPoolUpdate(is_paused=False))
            assert await other.get_and_submit_flow_runs() == []
            assert len(await worker.get_and_submit_flow_runs()) == 1
            worker.go.set()

    _run(body)


def test_a_missing_pool_is_created_unless_it_may_not_be() -> None:
    async def body(client: HeadraceClient) -> None:
        async with Held("new", create_pool_if_not_found=False) as worker:
            await worker.sync_with_backend()
            assert not worker.is_ready
        assert await client.read_work_pools() == []
        async with Held("new", base_job_template={}) as worker:
            await worker.sync_with_backend()
            assert worker.is_ready
            assert worker.get_status()["work_pool"]["type"] == "held"
        assert [one.name for one in await client.read_workers_for_work_pool("new")] == [worker.name]

    _run(body)


def test_a_run_whose_deployment_is_gone_is_cancelled() -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        run = await client.create_flow_run_from_deployment(deployment)
        async with Held("pool") as worker:
            assert [one.id for one in await worker.get_and_submit_flow_runs()] == [run.id]
            await client.delete_deployment(deployment)  # before the worker gets to it: it begins at the next await of its own
        assert worker.order == []
        assert (await client.read_flow_run(run.id)).state_name == "Cancelled"

    _run(body)


def test_a_process_that_ends_well_and_never_began_its_run_makes_it_crashed() -> None:
    async def body(client: HeadraceClient) -> None:
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name="pool", type="process", base_job_template=template))
        flow = await client.create_flow_from_name("f")
        deployment = await client.create_deployment(flow_id=flow, name="d", work_pool_name="pool", job_variables={"command": "true"})
        run = await client.create_flow_run_from_deployment(deployment)
        async with ProcessWorker("pool") as worker:
            await worker.get_and_submit_flow_runs()
        state = (await client.read_flow_run(run.id)).state
        assert state is not None and state.is_crashed()
        assert "never began the run" in (state.message or "")

    _run(body)


def test_health_is_told_and_a_taken_port_is_an_error() -> None:
    async def body(client: HeadraceClient) -> None:
        await _deployment(client)
        port = free_port()
        with temporary_settings({"HEADRACE_WORKER_WEBSERVER_PORT": port, "HEADRACE_WORKER_WEBSERVER_HOST": "127.0.0.1"}):
            async with Held("pool") as worker:
                server = build_healthcheck_server(worker, query_interval_seconds=10)
                serving = asyncio.ensure_future(server.serve())
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                    while True:
                        try:
                            health = await http.get("/health")
                            break
                        except httpx.ConnectError:
                            await asyncio.sleep(0.01)
                    assert (health.status_code, health.json()) == (200, {"message": "OK"})
                    assert (await http.get("/ready")).status_code == 503
                    await worker.sync_with_backend()
                    assert (await http.get("/ready")).status_code == 200
                    assert "headrace_worker_runs 0" in (await http.get("/metrics")).text
                    assert (await http.post("/health")).status_code == 405
                    assert (await http.get("/nothing")).status_code == 404
                    with pytest.raises(ConfigurationError, match=str(port)):
                        await build_healthcheck_server(worker, 10).serve()
                server.should_exit = True
                await serving
                assert not worker.is_worker_still_polling(-1)

    _run(body)


def test_types_and_their_templates_are_known() -> None:
    assert "process" in get_available_work_pool_types()
    assert BaseWorker.get_worker_class_from_type("process") is ProcessWorker
    assert BaseWorker.get_worker_class_from_type("nothing-such") is None
    assert get_default_base_job_template_for_infrastructure_type("process") == ProcessWorker.get_default_base_job_template()
    assert get_default_base_job_template_for_infrastructure_type("nothing-such") is None
    assert "held" in BaseWorker.get_all_available_worker_types()


FLOW = """
import os, subprocess, sys, time
from pathlib import Path
from headrace import flow

@flow
def long(folder: str):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(folder, "child").write_text(str(child.pid))
    while not Path(folder, "go").exists():
        time.sleep(0.02)
    child.kill()
"""


@pytest.mark.parametrize("how", ["terminated", "cancelled"])
def test_a_worker_told_to_stop_waits_and_a_cancelled_run_is_killed_with_all_it_started(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "long.py").write_text(FLOW)

    async def body(client: HeadraceClient) -> None:
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name="pool", type="process", base_job_template=template))
        flow = await client.create_flow_from_name("long")
        deployment = await client.create_deployment(flow_id=flow, name="d", work_pool_name="pool", entrypoint="long.py:long", path=str(tmp_path))
        worker = subprocess.Popen([sys.executable, "-m", "headrace", "worker", "start", "-p", "pool", "--with-healthcheck"])
        try:
            run = await client.create_flow_run_from_deployment(deployment, parameters={"folder": str(tmp_path)})
            while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
                await asyncio.sleep(0.02)
            child = Path("/proc") / (tmp_path / "child").read_text()
            if how == "cancelled":
                await client.set_flow_run_state(run.id, Cancelling())
                while not (state := (await client.read_flow_run(run.id)).state) or not state.is_final():
                    await asyncio.sleep(0.02)
                assert state.is_cancelled(), state
                while child.exists() and "zombie" not in (child / "status").read_text():
                    await asyncio.sleep(0.02)
                worker.send_signal(signal.SIGTERM)
            else:
                worker.send_signal(signal.SIGTERM)
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                    while (await http.get("/ready")).status_code == 200:
                        await asyncio.sleep(0.02)
                    assert (await http.get("/health")).status_code == 200
                late = await client.create_flow_run_from_deployment(deployment, parameters={"folder": str(tmp_path)})
                (tmp_path / "go").touch()
            assert await asyncio.to_thread(worker.wait, 30) == 0
            if how == "terminated":
                state = (await client.read_flow_run(run.id)).state
                assert state is not None
                assert state.is_completed(), state
                waiting = (await client.read_flow_run(late.id)).state
                assert waiting is not None
                assert waiting.is_scheduled()
        finally:
            worker.kill()

    port = free_port()
    monkeypatch.setenv("HEADRACE_WORKER_WEBSERVER_PORT", str(port))
    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        monkeypatch.setenv("HEADRACE_API_URL", url)
        _run(body)
