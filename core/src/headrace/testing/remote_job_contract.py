"""The tests that every `RemoteJobWorker` passes: all of `WorkerContract`, and what goes wrong between a worker and a service."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import pytest

from headrace.client.orchestration import HeadraceClient, get_client
from headrace.deploy.workers.adoption import LABEL
from headrace.deploy.workers.remote_configuration import TOKEN_LABEL, RemoteJobConfiguration
from headrace.deploy.workers.remote_job import Failure, JobStatus, RemoteJobWorker
from headrace.model.errors import InfrastructureNotFound
from headrace.model.flow_runs import FlowRun
from headrace.states import Cancelling, Running, Scheduled
from headrace.testing.worker_contract import SECONDS_MAX, FakeService, WorkerContract, idle, made, unprepared

API_KEY = "contract-key-0123456789"


class RemoteService(FakeService):
    """A service as tests see it; its jobs may be real. Jobs end when they are told to."""

    @abstractmethod
    def count(self) -> int:
        """Return how many jobs were ever started."""


class RemoteJobContract(WorkerContract):
    """What a worker for jobs of a service owes those whose runs it starts.

    A subclass named `Test…` overrides `worker_class` (a `RemoteJobWorker`) and `service` (a `RemoteService`), and where needed `job_variables`,
    `broken_job_variables`, `lost_answer` and `busy_answer` (what the SDK raises when an answer is lost, and when the service is busy).
    """

    @pytest.fixture
    def worker_class(self) -> type[RemoteJobWorker[Any, Any, Any]]:
        """Return the worker to test."""
        raise TypeError(f"{type(self).__name__} must override the fixture `worker_class`.")

    @pytest.fixture
    def service(self) -> RemoteService:
        """Return the service, in force for the worker."""
        raise TypeError(f"{type(self).__name__} must override the fixture `service`.")

    @pytest.fixture
    def lost_answer(self) -> Exception:
        """Return what the SDK raises when the connection breaks before the answer."""
        return ConnectionResetError("the connection was reset")

    @pytest.fixture
    def busy_answer(self) -> Exception | None:
        """Return what the SDK raises when the service asks to come again later; None when it never does."""
        return None

    @pytest.fixture
    def faults(self) -> dict[str, list[BaseException | None]]:
        """What the next calls of a method raise after they were made (`submit_job`) or instead (`before:submit_job`)."""
        return {}

    @pytest.fixture
    def base_worker(self, worker_class: Any, faults: dict[str, list[BaseException | None]]) -> type[RemoteJobWorker[Any, Any, Any]]:
        """Return the worker, with short pauses and a connection that fails as `faults` says."""

        def failing(name: str) -> Callable[..., Any]:
            def method(self: Any, *args: Any) -> Any:
                before = faults.get(f"before:{name}")
                if before and (error := before.pop(0)) is not None:
                    raise error
                answer = getattr(worker_class, name)(self, *args)
                after = faults.get(name)
                if after and (error := after.pop(0)) is not None:
                    raise error
                return answer

            return method

        methods = {name: failing(name) for name in ("submit_job", "find_job", "poll_job", "stop_job")}
        names = {"__module__": worker_class.__module__, "__doc__": worker_class.__doc__, "retry_seconds": 0.02}
        return type(worker_class.__name__, (worker_class,), {**methods, **names})

    # --- starting

    def test_a_job_whose_answer_was_lost_is_adopted(
        self, at_work: Callable[..., None], service: RemoteService, faults: dict[str, list[BaseException | None]], lost_answer: Exception
    ) -> None:
        faults["submit_job"] = [lost_answer]

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await client.set_flow_run_state(run.id, Running())
            assert await _identifier(client, run) == job.identifier
            service.end(job.identifier, 0)
            await idle(worker)
            assert service.count() == 1

        at_work(body)

    def test_a_job_that_was_never_made_is_started_again(
        self, at_work: Callable[..., None], service: RemoteService, faults: dict[str, list[BaseException | None]], lost_answer: Exception
    ) -> None:
        faults["before:submit_job"] = [lost_answer]

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            assert await _identifier(client, run) == job.identifier
            await client.set_flow_run_state(run.id, Running())
            service.end(job.identifier, 0)
            await idle(worker)
            assert service.count() == 1

        at_work(body)

    def test_a_run_fails_at_once_when_nobody_can_say_whether_it_was_started(
        self, at_work: Callable[..., None], service: RemoteService, faults: dict[str, list[BaseException | None]], lost_answer: Exception
    ) -> None:
        faults["submit_job"] = [lost_answer]
        faults["before:find_job"] = [lost_answer] * 20

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await idle(worker)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None and state.is_crashed()
            assert "token" in (state.message or "")
            assert service.count() == 1
            service.end(job.identifier, 0)

        at_work(body)

    def test_a_busy_service_is_asked_again(
        self, at_work: Callable[..., None], service: RemoteService, faults: dict[str, list[BaseException | None]], busy_answer: Exception | None
    ) -> None:
        faults["before:submit_job"] = [busy_answer, busy_answer]

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await client.set_flow_run_state(run.id, Running())
            service.end(job.identifier, 0)
            await idle(worker)
            assert service.count() == 1
            assert busy_answer is None or worker.failure_of(busy_answer) is Failure.BUSY

        at_work(body)

    # --- watching

    def test_a_service_that_does_not_answer_for_a_while_loses_no_job(
        self, at_work: Callable[..., None], service: RemoteService, faults: dict[str, list[BaseException | None]], lost_answer: Exception
    ) -> None:
        faults["poll_job"] = [None, lost_answer, lost_answer, None, lost_answer]

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            service.end((await service.started()).identifier, 3)
            await idle(worker)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None and state.is_crashed()
            assert "3" in (state.message or "")

        at_work(body)

    def test_a_job_is_told_of_as_it_goes(self, at_work: Callable[..., None], service: RemoteService, job_variables: dict[str, Any]) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            configuration = await unprepared(worker, job_variables)
            assert worker.poll_job(job.identifier, configuration).phase in ("pending", "running")
            assert worker.stop_job(job.identifier, configuration, 1) is None
            await idle(worker)
            assert not service.is_running(job.identifier)

        at_work(body)

    def test_a_job_that_nobody_knows_is_not_found(self, at_work: Callable[..., None], service: RemoteService, job_variables: dict[str, Any]) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            configuration = await unprepared(worker, job_variables)
            unknown = job.identifier[:-4] + ("0000" if not job.identifier.endswith("0000") else "1111")
            with pytest.raises(InfrastructureNotFound):
                await worker.kill_infrastructure(unknown, configuration, 1)
            assert service.is_running(job.identifier)
            service.end(job.identifier, 0)

        at_work(body)

    def test_what_is_no_identifier_is_a_value_error(
        self, at_work: Callable[..., None], service: RemoteService, job_variables: dict[str, Any]
    ) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            service.end((await service.started()).identifier, 0)
            with pytest.raises((ValueError, InfrastructureNotFound)):
                await worker.kill_infrastructure(" ", await unprepared(worker, job_variables), 1)

        at_work(body)

    # --- the next worker

    def test_the_next_worker_watches_what_a_dead_one_started(
        self, base_worker: type[RemoteJobWorker[Any, Any, Any]], service: RemoteService, job_variables: dict[str, Any]
    ) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await client.set_flow_run_state(run.id, Running())
            service.end(job.identifier, 7)
            await idle(worker)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None and state.is_crashed()
            assert "7" in (state.message or "")
            assert service.count() == 1

        _with_next_worker(base_worker, job_variables, body)

    def test_the_next_worker_cancels_what_a_dead_one_started(
        self, base_worker: type[RemoteJobWorker[Any, Any, Any]], service: RemoteService, job_variables: dict[str, Any]
    ) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await client.set_flow_run_state(run.id, Running())
            await client.set_flow_run_state(run.id, Cancelling())
            await worker.cancel_runs()
            await idle(worker)
            assert not service.is_running(job.identifier)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None and state.is_cancelled()

        _with_next_worker(base_worker, job_variables, body)

    def test_the_next_worker_stops_what_was_cancelled_while_nobody_watched(
        self, base_worker: type[RemoteJobWorker[Any, Any, Any]], service: RemoteService, job_variables: dict[str, Any]
    ) -> None:
        async def meanwhile(client: HeadraceClient, run: FlowRun) -> None:
            await client.set_flow_run_state(run.id, Running())
            await client.set_flow_run_state(run.id, Cancelling())

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await idle(worker)
            assert not service.is_running(job.identifier)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None and state.is_cancelled()

        _with_next_worker(base_worker, job_variables, body, meanwhile)

    def test_the_next_worker_watches_a_job_whose_worker_died_before_it_noted_which(
        self,
        base_worker: type[RemoteJobWorker[Any, Any, Any]],
        service: RemoteService,
        faults: dict[str, list[BaseException | None]],
        job_variables: dict[str, Any],
    ) -> None:
        faults["submit_job"] = [_Killed()]

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            assert await _identifier(client, run) == job.identifier
            await client.set_flow_run_state(run.id, Running())
            service.end(job.identifier, 7)
            await idle(worker)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None and state.is_crashed()
            assert "7" in (state.message or "")
            assert service.count() == 1

        _with_next_worker(base_worker, job_variables, body, is_noted=False)

    def test_a_run_that_is_taken_again_gets_no_second_job(
        self,
        base_worker: type[RemoteJobWorker[Any, Any, Any]],
        service: RemoteService,
        faults: dict[str, list[BaseException | None]],
        job_variables: dict[str, Any],
    ) -> None:
        faults["submit_job"] = [_Killed()]

        async def meanwhile(client: HeadraceClient, run: FlowRun) -> None:
            await client.set_flow_run_state(run.id, Scheduled(), force=True)  # as the server does when nobody has taken the job over for long

        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            assert await _identifier(client, run) == job.identifier
            await client.set_flow_run_state(run.id, Running())
            service.end(job.identifier, 0)
            await idle(worker)
            assert service.count() == 1

        _with_next_worker(base_worker, job_variables, body, meanwhile, is_noted=False)

    def test_a_run_whose_job_could_not_be_started_gets_another_when_it_is_retried(
        self,
        base_worker: type[RemoteJobWorker[Any, Any, Any]],
        service: RemoteService,
        faults: dict[str, list[BaseException | None]],
        job_variables: dict[str, Any],
    ) -> None:
        faults["before:submit_job"] = [ValueError("no such size of machine")]

        async def body() -> None:
            async with get_client() as client, base_worker(work_pool_name="contract", name="first") as worker:
                run = await made(client, base_worker, job_variables)
                await worker.get_and_submit_flow_runs()
                await idle(worker)
                found = await client.read_flow_run(run.id)
                assert found.state is not None and found.state.is_crashed()
                assert not found.labels[TOKEN_LABEL]
                await client.set_flow_run_state(run.id, Scheduled(), force=True)
                await worker.get_and_submit_flow_runs()
                job = await service.started()
                assert await _identifier(client, run) == job.identifier
                service.end(job.identifier, 0)
                await idle(worker)

        asyncio.run(asyncio.wait_for(body(), SECONDS_MAX))

    # --- secrets and statuses

    def test_a_configuration_shows_no_secret(self, base_worker: type[RemoteJobWorker[Any, Any, Any]], job_variables: dict[str, Any]) -> None:
        async def make() -> RemoteJobConfiguration:
            values = {**job_variables, "env": {**job_variables.get("env", {}), "HEADRACE_API_KEY": API_KEY}}
            return await base_worker.job_configuration.from_template_and_values(base_worker.get_default_base_job_template(), values)

        job = asyncio.run(make())
        assert job.environment.secure["HEADRACE_API_KEY"] == API_KEY
        assert API_KEY not in f"{job!r} {job} {job.environment!r}"

    def test_secrets_of_the_platform_are_named_not_given(
        self, base_worker: type[RemoteJobWorker[Any, Any, Any]], job_variables: dict[str, Any]
    ) -> None:
        async def make() -> RemoteJobConfiguration:
            given = {**job_variables.get("env", {}), "HEADRACE_API_KEY": API_KEY}
            values = {**job_variables, "env": given, "secret_env": {"HEADRACE_API_KEY": "key-in-vault"}}
            return await base_worker.job_configuration.from_template_and_values(base_worker.get_default_base_job_template(), values)

        environment = asyncio.run(make()).environment
        assert environment.references == {"HEADRACE_API_KEY": "key-in-vault"}
        assert "HEADRACE_API_KEY" not in {**environment.plain, **environment.secure}

    def test_a_status_says_how_it_ended(self) -> None:
        assert JobStatus.ended(None).exit_code is None
        assert JobStatus.ended(3, "out of memory").message == "out of memory"


class _Killed(BaseException):
    """Ends what a worker does with a run there and then, as a killed process does."""


async def _identifier(client: HeadraceClient, run: FlowRun) -> str:
    while (found := (await client.read_flow_run(run.id)).infrastructure_pid) is None:
        await asyncio.sleep(0.01)
    return found


def _with_next_worker(
    base_worker: type[RemoteJobWorker[Any, Any, Any]],
    variables: dict[str, Any],
    body: Callable[..., Any],
    meanwhile: Callable[..., Any] | None = None,
    *,
    is_noted: bool = True,
) -> None:
    """Run a test's body with a worker of the same name as one that has started a run and is never heard of again; `meanwhile` before it comes.

    `is_noted`: whether the first has noted the job's identifier.
    """

    async def begin() -> FlowRun:
        async with get_client() as client:
            run = await made(client, base_worker, variables)
            worker = base_worker(work_pool_name="contract", name="first")
            await worker.setup()
            await worker.get_and_submit_flow_runs()
            if is_noted:
                await _identifier(client, run)
            else:
                await idle(worker)
                found = await client.read_flow_run(run.id)
                assert found.infrastructure_pid is None
                assert found.labels[LABEL] == "first" and found.labels[TOKEN_LABEL]
            if meanwhile is not None:
                await meanwhile(client, run)
            return run

    async def go_on() -> None:
        async with get_client() as client, base_worker(work_pool_name="contract", name="first") as worker:
            await worker.sync_with_backend()
            await worker.get_and_submit_flow_runs()
            assert worker.running == 1
            await body(client, worker, run)

    run = asyncio.run(asyncio.wait_for(begin(), SECONDS_MAX))  # at its end the loop drops all that the worker was about, as a killed process does
    asyncio.run(asyncio.wait_for(go_on(), SECONDS_MAX))
