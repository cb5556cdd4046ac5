"""The tests that every worker passes, core's and plugins'. Inherit `WorkerContract` and give it the worker and a fake of its service."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

import pytest

from headrace.client.orchestration import HeadraceClient, get_client
from headrace.deploy.workers.base import BaseWorker
from headrace.deploy.workers.configuration import BaseJobConfiguration
from headrace.deploy.workers.worker import Worker, as_base_worker
from headrace.model.errors import InfrastructureNotFound
from headrace.model.flow_runs import FlowRun
from headrace.model.job_templates import checked_template
from headrace.model.work_pools import WorkPoolCreate
from headrace.settings.environment import internal_name
from headrace.states import Cancelling, Running

SECONDS_MAX = 60.0
GIVEN = {"CONTRACT": "given", "HEADRACE_API_URL": "http://127.0.0.1:9/api"}
"""Variables of each run's environment. Nothing is at that address: no flow runs in these tests."""


@dataclass(frozen=True, slots=True)
class StartedJob:
    """What a service was told to run: the identifier that the worker reports, the environment, the command."""

    identifier: str
    env: dict[str, str]
    command: str


class FakeService(ABC):
    """A worker's service as tests see it: what it was told, and what it does next. It runs nothing by itself."""

    @abstractmethod
    async def started(self) -> StartedJob:
        """Wait until a job was started that no call returned yet, and return it."""

    @abstractmethod
    def end(self, identifier: str, status: int) -> None:
        """Let a job end with this exit status."""

    @abstractmethod
    def is_running(self, identifier: str) -> bool:
        """Say whether a job goes on."""


class WorkerContract:
    """What a worker owes those whose runs it starts.

    A subclass named `Test…` overrides the fixtures `worker_class` (a `Worker` or `BaseWorker`), `service` (a `FakeService` in force for it) and
    `broken_job_variables` (such that starting fails), and where needed `job_variables` (what the pool's template is given).
    """

    @pytest.fixture
    def worker_class(self) -> type[Worker] | type[BaseWorker[Any, Any, Any]]:
        """Return the worker to test."""
        raise TypeError(f"{type(self).__name__} must override the fixture `worker_class`.")

    @pytest.fixture
    def service(self) -> FakeService:
        """Return the fake of the worker's service, in force."""
        raise TypeError(f"{type(self).__name__} must override the fixture `service`.")

    @pytest.fixture
    def job_variables(self) -> dict[str, Any]:
        """Return the variables that runs of the test are given."""
        return {}

    @pytest.fixture
    def broken_job_variables(self) -> dict[str, Any]:
        """Return variables with which nothing can be started, for the service refuses them."""
        raise TypeError(f"{type(self).__name__} must override the fixture `broken_job_variables`.")

    @pytest.fixture
    def base_worker(self, worker_class: Any) -> type[BaseWorker[Any, Any, Any]]:
        """Return the worker as the library runs it."""
        return as_base_worker(worker_class) if issubclass(worker_class, Worker) else worker_class

    @pytest.fixture
    def at_work(self, base_worker: type[BaseWorker[Any, Any, Any]], job_variables: dict[str, Any]) -> Callable[..., None]:
        """Run a test's body with a client, a worker of a pool, and a run that the worker has started."""

        def run(body: Callable[..., Coroutine[Any, Any, None]], variables: dict[str, Any] | None = None) -> None:
            async def work() -> None:
                async with get_client() as client:
                    run = await made(client, base_worker, job_variables if variables is None else variables)
                    async with base_worker(work_pool_name="contract") as worker:
                        assert [one.id for one in await worker.get_and_submit_flow_runs()] == [run.id]
                        await body(client, worker, run)

            asyncio.run(asyncio.wait_for(work(), SECONDS_MAX))

        return run

    # --- what it says of itself

    def test_it_has_a_type_and_a_description(self, base_worker: type[BaseWorker[Any, Any, Any]]) -> None:
        assert base_worker.type
        assert base_worker.get_description().strip()

    def test_its_template_is_whole_and_documented(self, base_worker: type[BaseWorker[Any, Any, Any]]) -> None:
        template = checked_template(base_worker.get_default_base_job_template())
        undocumented = [name for name, schema in template["variables"]["properties"].items() if not schema.get("description")]
        assert not undocumented

    def test_its_template_makes_a_configuration(self, base_worker: type[BaseWorker[Any, Any, Any]], job_variables: dict[str, Any]) -> None:
        async def work() -> BaseJobConfiguration:
            template = base_worker.get_default_base_job_template()
            return cast("BaseJobConfiguration", await base_worker.job_configuration.from_template_and_values(template, job_variables))

        assert isinstance(asyncio.run(work()), BaseJobConfiguration)

    def test_a_name_that_cannot_be_part_of_an_address_is_refused(self, base_worker: type[BaseWorker[Any, Any, Any]]) -> None:
        for name in ("a/b", "50%"):
            with pytest.raises(ValueError, match=name):
                base_worker(work_pool_name="contract", name=name)

    def test_it_redefines_no_method_that_is_private_to_its_bases(self, worker_class: type[Any]) -> None:
        bases = [one for one in worker_class.__mro__ if one.__module__.startswith("headrace.")]
        own = [one for one in worker_class.__mro__ if one not in bases and one is not object]
        private = {
            name for base in bases for name, member in vars(base).items() if name.startswith("_") and not name.startswith("__") and callable(member)
        }
        redefined = sorted(name for one in own for name, member in vars(one).items() if name in private and callable(member))
        assert not redefined, "Give these methods names of their own: the bases call theirs."

    # --- what it does

    def test_a_job_gets_the_environment_and_the_command_of_its_run(self, at_work: Callable[..., None], service: FakeService) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            assert job.env[internal_name("FLOW_RUN_ID")] == str(run.id)
            assert job.env["CONTRACT"] == "given"
            assert job.command
            service.end(job.identifier, 0)

        at_work(body)

    def test_a_job_that_ends_well_leaves_the_state_to_its_run(self, at_work: Callable[..., None], service: FakeService) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await client.set_flow_run_state(run.id, Running())
            service.end(job.identifier, 0)
            await idle(worker)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None
            assert state.is_running()

        at_work(body)

    def test_a_job_that_ends_badly_is_crashed_with_its_status(self, at_work: Callable[..., None], service: FakeService) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            service.end((await service.started()).identifier, 3)
            await idle(worker)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None
            assert state.is_crashed()
            assert "3" in (state.message or "")

        at_work(body)

    def test_what_a_job_is_known_by_is_stored(self, at_work: Callable[..., None], service: FakeService) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            while (stored := (await client.read_flow_run(run.id)).infrastructure_pid) is None:
                await asyncio.sleep(0.01)
            assert stored == job.identifier
            service.end(job.identifier, 0)

        at_work(body)

    def test_a_cancelled_run_is_stopped(self, at_work: Callable[..., None], service: FakeService) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            await client.set_flow_run_state(run.id, Running())
            while (await client.read_flow_run(run.id)).infrastructure_pid is None:
                await asyncio.sleep(0.01)
            await client.set_flow_run_state(run.id, Cancelling())
            await worker.cancel_runs()
            await idle(worker)
            assert not service.is_running(job.identifier)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None
            assert state.is_cancelled()

        at_work(body)

    def test_what_has_ended_cannot_be_stopped(self, at_work: Callable[..., None], service: FakeService, job_variables: dict[str, Any]) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            job = await service.started()
            service.end(job.identifier, 0)
            await idle(worker)
            with pytest.raises(InfrastructureNotFound):
                await worker.kill_infrastructure(job.identifier, await unprepared(worker, job_variables), 1)

        at_work(body)

    def test_what_cannot_be_started_is_crashed_with_the_reason(
        self, at_work: Callable[..., None], service: FakeService, broken_job_variables: dict[str, Any]
    ) -> None:
        async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
            await idle(worker)
            state = (await client.read_flow_run(run.id)).state
            assert state is not None
            assert state.is_crashed()
            assert (state.message or "").startswith("Failed to submit flow run to infrastructure: ")

        at_work(body, broken_job_variables)


async def made(client: HeadraceClient, worker: type[BaseWorker[Any, Any, Any]], variables: dict[str, Any]) -> FlowRun:
    """Create a pool `contract` of the worker's type, a deployment for it, and a run of that, and return the run."""
    template = worker.get_default_base_job_template()
    await client.create_work_pool(WorkPoolCreate(name="contract", type=worker.type, base_job_template=template))
    flow = await client.create_flow_from_name("contract")
    deployment = await client.create_deployment(flow_id=flow, name="contract", work_pool_name="contract", job_variables=variables)
    return await client.create_flow_run_from_deployment(deployment, job_variables={"env": GIVEN})


async def unprepared(worker: BaseWorker[Any, Any, Any], variables: dict[str, Any]) -> Any:
    """Return the configuration of a job that is no run's."""
    return await worker.job_configuration.from_template_and_values(worker.get_default_base_job_template(), variables)


async def idle(worker: BaseWorker[Any, Any, Any]) -> None:
    """Wait until a worker has no runs any more."""
    while worker.running:
        await asyncio.sleep(0.01)
