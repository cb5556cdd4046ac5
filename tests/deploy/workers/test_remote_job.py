"""Workers for jobs of a service, held to their contract by one behind HTTP whose jobs are processes."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import pytest

from deploy.workers.job_service import WAITING, JobService, job_service
from deploy.workers.job_worker import HutWorker
from headrace.client.orchestration import HeadraceClient, get_client
from headrace.client.schemas.actions import DeploymentUpdate
from headrace.client.schemas.filters import LogFilter, LogFilterFlowRunId
from headrace.client.schemas.objects import FlowRun, Log
from headrace.client.spool import close_process_spool
from headrace.deploy.workers.adoption import LABEL
from headrace.settings import temporary_settings
from headrace.states import Cancelling, Completed, Running
from headrace.testing import RemoteJobContract
from headrace.testing.remote_job_contract import RemoteService
from headrace.testing.worker_contract import StartedJob, idle, made
from headrace.workers.remote import LabelRules


class Huts(RemoteService):
    """Jobs that do nothing but end when they are told to."""

    def __init__(self, service: JobService) -> None:
        self.service = service
        service.stand_in = WAITING
        self._told = 0

    async def started(self) -> StartedJob:
        while len(self.service.jobs) <= self._told:
            await asyncio.sleep(0.01)
        job = list(self.service.jobs.values())[self._told]
        self._told += 1
        return StartedJob(f"{self.service.url}::{job.id}", job.asked["env"], job.asked["command"])

    def end(self, identifier: str, status: int) -> None:
        process = self._process(identifier)
        assert process.stdin is not None
        process.stdin.write(f"{status}\n")
        process.stdin.close()

    def is_running(self, identifier: str) -> bool:
        return self._process(identifier).poll() is None

    def count(self) -> int:
        return len(self.service.jobs)

    def _process(self, identifier: str) -> Any:
        return self.service.jobs[identifier.partition("::")[2]].process


@pytest.fixture
def jobs() -> Iterator[JobService]:
    with job_service() as service:
        yield service


class TestContract(RemoteJobContract):
    @pytest.fixture
    def worker_class(self) -> Any:
        return HutWorker

    @pytest.fixture
    def service(self, jobs: JobService) -> RemoteService:
        return Huts(jobs)

    @pytest.fixture
    def job_variables(self, jobs: JobService) -> dict[str, Any]:
        return {"service": jobs.url}

    @pytest.fixture
    def broken_job_variables(self, jobs: JobService) -> dict[str, Any]:
        return {"service": jobs.url, "image": "missing"}


# --- over a wire that breaks, with jobs that really run


FLOW = "import sys; print('first'); print('second', flush=True); sys.exit({code})"


def conducted(variables: dict[str, Any], while_it_runs: Any = None, kind: type[HutWorker] = HutWorker) -> tuple[FlowRun, list[Log]]:
    """Let a worker see one run through, and return the run and its log."""

    async def work() -> tuple[FlowRun, list[Log]]:
        async with get_client() as client:
            run = await made(client, kind, variables)
            async with kind(work_pool_name="contract", name="one") as worker:
                await worker.get_and_submit_flow_runs()
                if while_it_runs is not None:
                    await while_it_runs(client, worker, run)
                await idle(worker)
            await asyncio.to_thread(close_process_spool)  # what is logged is there then
            logs = await client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])))
            return await client.read_flow_run(run.id), logs

    return asyncio.run(asyncio.wait_for(work(), 60))


def python(jobs: JobService, code: str) -> None:
    jobs.stand_in = [sys.executable, "-u", "-c", code]


def test_answers_that_are_lost_on_the_wire_start_nothing_twice(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=0))
    jobs.faults += [("submit", "dropped"), ("find", "busy"), ("submit", "busy"), ("submit", "lost"), ("poll", "dropped"), ("poll", "busy")]
    run, _ = conducted({"service": jobs.url})
    assert len(jobs.jobs) == 1
    assert run.infrastructure_pid == f"{jobs.url}::job-0"
    assert {job.asked["token"] for job in jobs.jobs.values()} != {""}


def test_a_refusal_is_told_at_once(jobs: JobService) -> None:
    jobs.faults += [("submit", "refused")]
    run, _ = conducted({"service": jobs.url})
    assert run.state is not None and run.state.is_crashed()
    assert "403" in str(run.state.message)
    assert jobs.calls == ["submit"]


def test_output_is_shown_once_and_whole(jobs: JobService, capsys: pytest.CaptureFixture[str]) -> None:
    python(jobs, "import time\nfor i in range(250): print('line', i, flush=True)")
    jobs.faults += [("logs", "dropped"), ("logs", "busy")]
    conducted({"service": jobs.url, "stream_output": True})
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("line ")]
    assert shown == [f"line {i}" for i in range(250)]


def test_the_output_of_a_job_whose_flow_never_began_is_in_the_runs_log(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=127))
    run, logs = conducted({"service": jobs.url})
    assert run.state is not None and run.state.is_crashed()
    told = [log.message for log in logs]
    assert "[job] first" in told
    assert "[job] second" in told


def test_a_job_that_ends_well_without_its_flow_is_crashed_and_shows_its_output(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=0))
    run, logs = conducted({"service": jobs.url})
    assert run.state is not None and run.state.is_crashed()
    assert "never began" in str(run.state.message)
    assert "[job] second" in [log.message for log in logs]


def test_the_output_of_a_flow_that_began_is_its_own(jobs: JobService) -> None:
    python(jobs, "import sys; print('first', flush=True); sys.stdin.readline(); sys.exit(1)")

    async def begin(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        while not (jobs.jobs and jobs.jobs["job-0"].lines):
            await asyncio.sleep(0.01)
        await client.set_flow_run_state(run.id, Running())
        stdin = jobs.jobs["job-0"].process.stdin
        assert stdin is not None
        stdin.close()

    run, logs = conducted({"service": jobs.url}, begin)
    assert run.state is not None and run.state.is_crashed()
    assert [log.message for log in logs if "[job]" in log.message] == []


def test_a_job_that_takes_too_long_is_stopped(jobs: JobService) -> None:
    python(jobs, "import time; time.sleep(600)")
    run, logs = conducted({"service": jobs.url, "run_timeout": 0.1})
    assert run.state is not None and run.state.is_crashed()
    assert jobs.jobs["job-0"].process.poll() is not None
    assert any("did not end within 0.1 seconds" in log.message for log in logs)
    assert "did not end within 0.1 seconds" in str(run.state.message)


def test_a_job_that_does_not_begin_is_stopped_and_says_what_it_waited_for(jobs: JobService) -> None:
    python(jobs, "import time; time.sleep(600)")
    jobs.waits_for = "a place with 9 cores"
    run, logs = conducted({"service": jobs.url, "start_timeout": 0.2})
    assert run.state is not None and run.state.is_crashed()
    assert jobs.jobs["job-0"].process.poll() is not None
    told = [log.message for log in logs if "a place with 9 cores" in log.message]
    assert len(told) == 3  # once while it waits, once when it is over, once with what that makes of the run
    assert "is pending" in told[0]
    assert "did not begin within 0.2 seconds" in told[1]
    assert "crashed" in told[2]


class HastyWorker(HutWorker):
    """Waits for no answer."""

    type = "hasty"
    call_seconds_max = 0.3
    submit_seconds_max = 0.3


def test_a_service_that_hangs_is_not_waited_for(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=3))
    jobs.faults += [("submit", "hung"), ("poll", "hung"), ("logs", "hung")]
    run, _ = conducted({"service": jobs.url, "stream_output": True}, kind=HastyWorker)
    assert run.state is not None and run.state.is_crashed()
    assert "status code 3" in str(run.state.message)
    assert len(jobs.jobs) == 1


def test_a_job_that_is_removed_meanwhile_has_an_unknown_end(jobs: JobService) -> None:
    python(jobs, "import time; time.sleep(600)")

    async def remove(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        while "job-0" not in jobs.jobs:
            await asyncio.sleep(0.01)
        jobs.jobs["job-0"].is_removed = True

    run, logs = conducted({"service": jobs.url}, remove)
    assert run.state is not None and run.state.is_crashed()
    assert "status code -1. There is no such job" in str(run.state.message)
    assert "removed while it was watched" in str(run.state.message)
    assert any("removed while it was watched" in log.message for log in logs)


def test_a_job_that_ends_because_its_run_is_cancelled_is_no_error(jobs: JobService) -> None:
    python(jobs, "import time; time.sleep(600)")

    async def cancel(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        while "job-0" not in jobs.jobs:
            await asyncio.sleep(0.01)
        await client.set_flow_run_state(run.id, Cancelling())
        await worker.cancel_runs()

    run, logs = conducted({"service": jobs.url}, cancel)
    assert run.state is not None and run.state.is_cancelled()
    assert [log.message for log in logs if log.level >= logging.WARNING] == []


def test_what_is_left_of_a_job_is_removed(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=0))
    conducted({"service": jobs.url})
    assert jobs.jobs["job-0"].is_removed


def test_a_run_without_a_server_to_reach_is_refused(jobs: JobService) -> None:
    async def work() -> FlowRun:
        async with get_client() as client:
            run = await made(client, HutWorker, {"service": jobs.url})
            async with HutWorker(work_pool_name="contract") as worker:
                await client.update_deployment(cast("UUID", run.deployment_id), DeploymentUpdate(job_variables={"service": jobs.url}))
                other = await client.create_flow_run_from_deployment(cast("UUID", run.deployment_id))
                await worker.get_and_submit_flow_runs()
                while (state := (await client.read_flow_run(other.id)).state) is not None and not state.is_final():
                    await asyncio.sleep(0.01)
                await worker.stop_running()
            return await client.read_flow_run(other.id)

    python(jobs, FLOW.format(code=0))
    run = asyncio.run(asyncio.wait_for(work(), 60))
    assert run.state is not None and run.state.is_crashed()
    assert "HEADRACE_API_URL" in str(run.state.message)


def test_what_is_asked_for_is_what_the_run_needs(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=0))
    run, _ = conducted({"service": jobs.url, "secret_env": {"DB_PASSWORD": "vault:db"}, "labels": {"team": "data"}})
    asked = jobs.jobs["job-0"].asked
    assert asked["references"] == {"DB_PASSWORD": "vault:db"}
    assert asked["labels"]["prefect.io/flow-run-id"] == str(run.id)
    assert asked["labels"]["team"] == "data"


def test_the_workers_own_database_and_folders_stay_with_it(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=0))
    own = {"HEADRACE_SERVER_DATABASE_PASSWORD": "password-of-the-server", "HEADRACE_SERVER_DATABASE_TIMEOUT": "33"}
    with temporary_settings(own):
        conducted({"service": jobs.url, "env": {"HEADRACE_SERVER_DATABASE_TIMEOUT": "44"}})
    asked = jobs.jobs["job-0"].asked
    assert "password-of-the-server" not in str(asked)
    assert "HEADRACE_HOME" not in asked["env"]  # that is a folder of its machine
    assert asked["env"]["HEADRACE_SERVER_DATABASE_TIMEOUT"] == "44"  # what is configured is not left out


def test_a_job_that_is_not_watched_is_stopped_when_its_run_is_cancelled(jobs: JobService) -> None:
    python(jobs, "import time; time.sleep(600)")

    async def cancel(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        await idle(worker)
        while LABEL not in (await client.read_flow_run(run.id)).labels:
            await asyncio.sleep(0.01)
        await client.set_flow_run_state(run.id, Running())
        await worker.sync_with_backend()
        assert worker.running == 0  # something else tells of its end
        await client.set_flow_run_state(run.id, Cancelling())
        await worker.cancel_runs()

    run, _ = conducted({"service": jobs.url, "is_watched": False}, cancel)
    assert run.state is not None and run.state.is_cancelled()
    assert jobs.jobs["job-0"].process.poll() is not None


def test_a_run_whose_job_is_gone_before_it_is_adopted_is_left_to_itself(jobs: JobService) -> None:
    python(jobs, FLOW.format(code=0))

    async def begin(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        while LABEL not in (await client.read_flow_run(run.id)).labels:
            await asyncio.sleep(0.01)
        await client.set_flow_run_state(run.id, Running())
        await idle(worker)
        assert jobs.jobs["job-0"].is_removed
        await client.update_flow_run_labels(run.id, {LABEL: "one"})  # as if the worker had not lived to see the end
        async with HutWorker(work_pool_name="contract", name="one") as second:
            for _ in range(2):
                await second.sync_with_backend()
                await idle(second)

    run, logs = conducted({"service": jobs.url}, begin)
    assert run.state is not None and run.state.is_running()
    assert len([log for log in logs if "nothing is known of its end" in log.message]) == 1


def test_what_is_left_of_a_job_that_ended_while_nobody_watched_is_removed(jobs: JobService) -> None:
    python(jobs, "import time; time.sleep(0.5)")

    async def begin() -> UUID:
        async with get_client() as client:
            run = await made(client, HutWorker, {"service": jobs.url})
            worker = HutWorker(work_pool_name="contract", name="one")
            await worker.setup()
            await worker.get_and_submit_flow_runs()
            while (await client.read_flow_run(run.id)).infrastructure_pid is None:
                await asyncio.sleep(0.01)
            await client.set_flow_run_state(run.id, Running())
            await client.set_flow_run_state(run.id, Completed())
            return run.id

    async def go_on(run_id: UUID) -> FlowRun:
        async with get_client() as client, HutWorker(work_pool_name="contract", name="one") as worker:
            await worker.sync_with_backend()
            assert worker.running == 1
            await idle(worker)
            await worker.sync_with_backend()
            assert worker.running == 0
            return await client.read_flow_run(run_id)

    run_id = asyncio.run(asyncio.wait_for(begin(), 60))  # at its end the loop drops all that the worker was about, as a killed process does
    assert not jobs.jobs["job-0"].is_removed
    run = asyncio.run(asyncio.wait_for(go_on(run_id), 60))
    assert jobs.jobs["job-0"].is_removed
    assert run.state is not None and run.state.is_completed()
    assert run.labels[LABEL] == ""


# --- labels


CLOUD = LabelRules("a-z0-9_-", "a-z0-9_-", count=3, is_lower=True)


def test_labels_are_made_to_fit() -> None:
    assert CLOUD.key("prefect.io/flow-run-id") == "prefect-io-flow-run-id"
    assert CLOUD.value("My Flow / Ärger!") == "my-flow-rger"
    assert CLOUD.key("9lives") == "x-9lives"
    assert len(CLOUD.value("v" * 100)) == 63


def test_configured_labels_stay_and_added_ones_go_when_there_are_too_many() -> None:
    labels = {"prefect.io/flow-run-id": "1", "prefect.io/version": "2", "team": "a", "cost": "b"}
    assert CLOUD.fit(labels) == {"team": "a", "cost": "b", "prefect-io-flow-run-id": "1"}
