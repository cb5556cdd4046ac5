"""`BaseWorker`: asks its pool for runs, when it hears that some are due and now and then besides, and sees each through."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeAlias, TypeVar, cast
from uuid import UUID

from headrace.client.connect import current_client
from headrace.client.orchestration import HeadraceClient, get_client
from headrace.deploy.dispatch import due_work
from headrace.deploy.workers import events, pools
from headrace.deploy.workers.claims import Claims
from headrace.deploy.workers.configuration import BaseJobConfiguration, BaseVariables, BaseWorkerResult, default_template
from headrace.deploy.workers.one_run import OneRun, Started
from headrace.deploy.workers.stopping import stop_on_signals
from headrace.engine.log_loggers import flow_run_logger, get_worker_logger
from headrace.model import clock, ids
from headrace.model.endpoints.work_pools import GET_SCHEDULED_FLOW_RUNS
from headrace.model.errors import HeadraceException, ObjectNotFound, ServerUnreachable
from headrace.model.work_pools import GetScheduledFlowRuns, WorkPool
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.engine.flow import Flow
    from headrace.engine.log_loggers import HeadraceLogAdapter
    from headrace.model.deployments import Deployment
    from headrace.model.events import Event
    from headrace.model.flow_runs import FlowRun
    from headrace.model.flows import Flow as StoredFlow

C = TypeVar("C", bound=BaseJobConfiguration)
V = TypeVar("V", bound=BaseVariables)
R = TypeVar("R", bound=BaseWorkerResult)

POLL_JITTER = 0.3
KILL_GRACE_SECONDS = 30
UNHEALTHY_POLLS = 30
"""Polls in a row that may be missed before the worker counts as unresponsive."""

AnyWorker: TypeAlias = "BaseWorker[Any, Any, Any]"


class BaseWorker(ABC, Generic[C, V, R]):
    """A worker as plugins write it: `type`, the classes of its configuration, and `run`. `Worker` asks for less.

    async with MyWorker(work_pool_name="pool") as worker:
        await worker.get_and_submit_flow_runs()     # one poll; leaving the block waits for the runs
    """

    type: str
    job_configuration: ClassVar[Any] = BaseJobConfiguration
    job_configuration_variables: ClassVar[Any] = None

    is_watched_to_its_end: ClassVar[bool] = False
    """Whether nothing of a run can go on, or come, once `run` has returned; of a service nobody knows."""
    _documentation_url: ClassVar[str] = ""
    _logo_url: ClassVar[str] = ""
    _description: ClassVar[str] = ""
    _display_name: ClassVar[str] = ""

    def __init__(
        self,
        work_pool_name: str,
        work_queues: list[str] | None = None,
        name: str | None = None,
        prefetch_seconds: float | None = None,
        create_pool_if_not_found: bool = True,
        limit: int | None = None,
        heartbeat_interval_seconds: float | None = None,
        *,
        base_job_template: dict[str, Any] | None = None,
    ) -> None:
        """Prepare a worker of a pool; nothing happens until it is started.

        `work_queues`: only runs of these queues; default: all. `name`: default: one that no other worker has. `prefetch_seconds`: how long
        before its time a run is started. `limit`: runs at once, at most. `base_job_template`: for a pool that has to be created. Raises
        `ValueError` for a name with `/` or `%`, and for a limit below 1.
        """
        settings = get_current_settings().worker
        if name is not None:
            check_worker_name(name)
        if limit is not None and limit < 1:
            raise ValueError(f"limit is {limit}; a worker that may run nothing does nothing. Give 1 or more, or None for no limit.")
        self.name = name or f"{type(self).__name__} {ids.new()}"
        self.backend_id: UUID | None = None
        self.limit = limit
        self.prefetch_seconds = settings.prefetch_seconds if prefetch_seconds is None else prefetch_seconds
        self.heartbeat_interval_seconds = settings.heartbeat_seconds if heartbeat_interval_seconds is None else heartbeat_interval_seconds
        self._work_pool_name = work_pool_name
        self.work_queues = set(work_queues or ())
        self._create_pool_if_not_found = create_pool_if_not_found
        self._base_job_template = base_job_template
        self._logger = get_worker_logger(self)
        self._work_pool: WorkPool | None = None
        self._client: HeadraceClient | None = None
        self._runs: dict[UUID, OneRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._helpers: set[asyncio.Task[Any]] = set()
        self._stop, self._asked, self._submitting = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._said = ""
        self._last_polled_time = clock.now()
        self._last_polled = clock.monotonic()
        self._is_reached = False
        self._was_full = False
        self._complaint = ""
        self._started_event: Event | None = None

    # --- what a plugin says

    @abstractmethod
    async def run(self, flow_run: FlowRun, configuration: C, task_status: Any = None) -> R:
        """Start infrastructure for a run and return when it has ended. Call `task_status.started(identifier)` once it is started."""

    async def kill_infrastructure(self, infrastructure_pid: str, configuration: C, grace_seconds: int = KILL_GRACE_SECONDS) -> None:
        """Stop the infrastructure of a run.

        Raises `NotImplementedError` for a worker type that cannot, `InfrastructureNotFound` when it is gone, and `InfrastructureNotAvailable` when
        it is not for this worker to stop.
        """
        raise NotImplementedError(f"Workers of type {self.type!r} cannot stop the infrastructure of a run.")

    def seen_as(self, folder: Path) -> str | None:
        """Return the path under which a run's infrastructure finds a folder of this machine that `bring` gives it; None: it cannot be given one.

        Flows that are submitted to a pool without storage for bundles travel in such a folder.
        """
        return None

    def bring(self, folder: Path, configuration: C) -> None:
        """Have the folder there when the infrastructure of this run starts. It stays here until the worker is through with the run."""
        return

    def sees_the_end_of(self, configuration: C) -> bool:
        """Say whether nothing of this run can go on, or come, once `run` has returned."""
        return self.is_watched_to_its_end

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """Return the base job template that pools of this type begin with."""
        return default_template(cls.job_configuration, cls.job_configuration_variables)

    @classmethod
    def get_description(cls) -> str:
        """Return what the worker type is good for."""
        return cls._description

    @classmethod
    def get_logo_url(cls) -> str:
        """Return the address of the type's picture, or nothing."""
        return cls._logo_url

    @classmethod
    def get_documentation_url(cls) -> str:
        """Return the address of the type's documentation, or nothing."""
        return cls._documentation_url

    @staticmethod
    def get_worker_class_from_type(type: str) -> type[BaseWorker[Any, Any, Any]] | None:
        """Return the worker class of a type, or None for a type that nothing installed offers."""
        from headrace.deploy.workers.types import find_worker_class

        return find_worker_class(type)

    @staticmethod
    def get_all_available_worker_types() -> list[str]:
        """Return the types that are installed."""
        from headrace.deploy.workers.types import worker_types

        return worker_types()

    # --- what it is

    @property
    def client(self) -> HeadraceClient:
        """The client that it talks with. Raises `RuntimeError` before the worker is set up."""
        if self._client is None:
            raise RuntimeError("The worker is not set up. Use it as `async with MyWorker(...) as worker:`, or call `start`.")
        return self._client

    @property
    def work_pool(self) -> WorkPool:
        """The pool as it was when the worker last asked. Raises `RuntimeError` before it has."""
        if self._work_pool is None:
            raise RuntimeError(f"The worker does not know its work pool {self._work_pool_name!r} yet. Call `sync_with_backend` first.")
        return self._work_pool

    @property
    def is_stopping(self) -> bool:
        """Whether the worker takes no more runs."""
        return self._stop.is_set()

    @property
    def running(self) -> int:
        """How many runs it has."""
        return len(self._tasks)

    def get_name_slug(self) -> str:
        """Return the worker's name as it stands in ids of resources."""
        return events.slug(self.name)

    def get_status(self) -> dict[str, Any]:
        """Return what the worker is about: its name, pool, queues and settings."""
        pool = self._work_pool
        return {
            "name": self.name,
            "work_pool": pool.model_dump(mode="json") if pool is not None else None,
            "work_queues": sorted(self.work_queues),
            "settings": {"prefetch_seconds": self.prefetch_seconds, "limit": self.limit},
            "running": self.running,
        }

    def is_worker_still_polling(self, query_interval_seconds: float) -> bool:
        """Say whether it has asked for runs within 30 such intervals."""
        return clock.monotonic() - self._last_polled <= UNHEALTHY_POLLS * query_interval_seconds

    @property
    def is_ready(self) -> bool:
        """Whether it can take runs: the server answers, the pool is there and not paused, and it is not about to stop."""
        return self._is_reached and not self.is_stopping and self._work_pool is not None and not self._work_pool.is_paused and not self._complaint

    def get_flow_run_logger(self, flow_run: FlowRun) -> HeadraceLogAdapter:
        """Return a logger whose lines belong to a run."""
        return flow_run_logger(flow_run).getChild(
            "worker", extra={"worker_name": self.name, "work_pool_name": self._work_pool_name, "worker_id": str(self.backend_id)}
        )

    # --- life

    async def setup(self) -> None:
        """Make ready to ask for runs."""
        self._client = await get_client().__aenter__()
        self.claims = Claims(current_client(), cast("logging.Logger", self._logger))
        self._helpers.add(asyncio.ensure_future(self.claims.beat()))

    async def teardown(self, *exc_info: Any) -> None:
        """Wait for the runs, then let go of everything."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        for helper in self._helpers:
            helper.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
        self._helpers.clear()
        if self._client is not None:
            client, self._client = self._client, None
            await client.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        """Set up, and learn of the pool."""
        await self.setup()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.teardown(*exc_info)

    async def start(self, run_once: bool = False, with_healthcheck: bool = False, printer: Callable[..., None] = print) -> None:
        """Work until the process is told to stop, by SIGTERM or SIGINT: then take no more runs, and return when those at work have ended.

        A second signal stops these too. `run_once`: poll once, wait for the runs, return. `with_healthcheck`: answer HTTP requests for the
        worker's health where the settings `worker.webserver` say. A server that is away is waited for.
        """
        from headrace.deploy.health import serving_worker_health

        async with self:
            if run_once:
                await self.sync_with_backend()
                await self.get_and_submit_flow_runs()
                return
            loop_tasks: list[asyncio.Task[Any]] = []
            with stop_on_signals(self.stop, self.stop_running, threading.current_thread() is threading.main_thread()):
                async with serving_worker_health(self, with_healthcheck):
                    await self._sync_until_reached()
                    if not self.is_stopping:
                        printer(f"Worker {self.name!r} started! It takes runs of work pool {self._work_pool_name!r}.")
                        self._started_event = await self.tell("started")
                        loop_tasks = [asyncio.ensure_future(work()) for work in (self._poll, self._sync, self._hear, self._watch_cancellations)]
                    try:
                        await self._stop.wait()
                        if self.running:
                            printer(f"Worker {self.name!r} takes no more runs and waits for {self.running} that it has; signal again to stop them.")
                        while self._tasks:
                            await asyncio.wait(self._tasks)
                    finally:
                        for task in loop_tasks:
                            task.cancel()
                        await asyncio.gather(*loop_tasks, return_exceptions=True)
            if self._started_event is not None:
                await self.tell("stopped", follows=self._started_event)
            printer(f"Worker {self.name!r} stopped!")

    def stop(self) -> None:
        """Take no more runs; `start` returns once those at work have ended. Runs that were taken and not begun are given back."""
        self._stop.set()

    async def stop_running(self) -> None:
        """Stop the infrastructure of every run that this worker has; each run ends as its process says, else as Crashed."""
        self.stop()
        self.claims.is_patient = False
        for one in list(self._runs.values()):
            if one.configuration is not None and one.status.identifier is not None:
                try:
                    await self.kill_infrastructure(one.status.identifier, cast("C", one.configuration), KILL_GRACE_SECONDS)
                except (HeadraceException, NotImplementedError) as error:
                    self._logger.warning("Flow run %r goes on without this worker: %s", one.flow_run.name, error)

    # --- the pool

    async def sync_with_backend(self) -> None:
        """Learn of the pool, create it if it is missing and may be created, and give a sign of life."""
        self._work_pool = await pools.find_or_create(
            self.client, self._work_pool_name, self.type, self._template_of_new_pool if self._create_pool_if_not_found else None
        )
        complaint = ""
        if self._work_pool is None:
            complaint = f"There is no work pool {self._work_pool_name!r}. Create it with `headrace work-pool create`, or let the worker create it."
        elif self._work_pool.type != self.type:
            complaint = (
                f"The work pool {self._work_pool_name!r} is of type {self._work_pool.type!r} and this worker of type {self.type!r}: "
                "it takes no runs. Start a worker of the pool's type, or name another pool."
            )
        elif self._work_pool.is_paused:
            self._say(f"The work pool {self._work_pool_name!r} is paused: no runs come until it is resumed.")
        self._complaint = complaint
        if complaint:
            self._say(complaint)
        elif self._work_pool is not None:
            self.backend_id = await self.client.send_worker_heartbeat(
                work_pool_name=self._work_pool_name, worker_name=self.name, heartbeat_interval_seconds=self.heartbeat_interval_seconds
            )
        self._is_reached = True

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Ask for runs that are due and start as many as the limit allows; return those. They go on in the background."""
        async with self._submitting:
            if self._work_pool is None:
                await self.sync_with_backend()
            if self._complaint or self.is_stopping:
                return []
            free = None if self.limit is None else self.limit - self.running
            self._was_full = free is not None and free <= 0
            self._last_polled, self._last_polled_time = clock.monotonic(), clock.now()
            if self._was_full:
                return []
            found = await self.client.call(
                GET_SCHEDULED_FLOW_RUNS,
                GetScheduledFlowRuns(
                    work_queue_names=sorted(self.work_queues),
                    scheduled_before=clock.now() + timedelta(seconds=self.prefetch_seconds),
                    limit=None if free is None else free + len(self._runs),  # those that it has may be told again
                ),
                name=self._work_pool_name,
            )
            self._is_reached = True
            return self._submit([one.flow_run for one in found], free)

    def _submit(self, flow_runs: Sequence[FlowRun], free: int | None) -> list[FlowRun]:
        new = [flow_run for flow_run in flow_runs if flow_run.id not in self._runs]
        if free is not None:
            self._was_full = len(new) >= free
            new = new[:free]
        for flow_run in new:
            one = OneRun(self, flow_run, self.get_flow_run_logger(flow_run))
            self._follow(one, one.conduct())
        return new

    def begin(self, flow_run: FlowRun, configuration: C) -> asyncio.Task[None]:
        """Start a run that was given to this worker directly; it goes on in the background, as the task that is returned."""
        one = OneRun(self, flow_run, self.get_flow_run_logger(flow_run))
        return self._follow(one, one.conduct_submitted(configuration))

    def _follow(self, one: OneRun, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._runs[one.id] = one
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, one.id))
        return task

    def _ended(self, task: asyncio.Task[None], id: UUID) -> None:
        self._tasks.discard(task)
        self._runs.pop(id, None)
        if self._was_full:
            self._asked.set()  # there is a free place again
        if not task.cancelled() and (error := task.exception()) is not None:
            self._logger.error("A flow run was lost sight of: %s", error, exc_info=error)

    def _template_of_new_pool(self) -> dict[str, Any]:
        return self._base_job_template or self.get_default_base_job_template()

    async def configuration_of(self, flow_run: FlowRun, deployment: Deployment | None, flow: StoredFlow) -> C:
        """Return what the infrastructure of a run is made from, as the pool's template says now."""
        deployed = deployment.job_variables if deployment is not None else {}
        values = pools.job_variables(deployed, flow_run.job_variables or {})
        configuration = await self.job_configuration.from_template_and_values(self.work_pool.base_job_template, values, client=self.client)
        configuration.prepare_for_flow_run(flow_run=flow_run, deployment=deployment, flow=flow, work_pool=self.work_pool, worker_name=self.name)
        return configuration

    async def submit(
        self,
        flow: Flow[..., Any],
        parameters: dict[str, Any] | None = None,
        job_variables: dict[str, Any] | None = None,
        flow_run: FlowRun | None = None,
    ) -> Any:
        """Run a flow on this worker's infrastructure, without a deployment; return its future. `flow_run`: one that is to run again."""
        from headrace.deploy.bundles.submission import submit_to_worker

        return await submit_to_worker(self, flow, parameters, job_variables, flow_run)

    async def tell(
        self, happened: str, flow_run: FlowRun | None = None, more: dict[str, str] | None = None, follows: Event | None = None
    ) -> Event | None:
        """Emit `prefect.worker.<happened>`."""
        return await events.tell_of_worker(self, happened, self._work_pool, flow_run, more or {}, follows)

    # --- what goes on while it works

    async def _sync_until_reached(self) -> None:
        pause = 1.0
        while not self.is_stopping:
            try:
                await self.sync_with_backend()
                return
            except ServerUnreachable as error:
                self._say(f"{error} The worker goes on trying.")
            await _until(self._stop, pause)
            pause = min(2 * pause, 15.0)

    async def _poll(self) -> None:
        while not self.is_stopping:
            self._asked.clear()
            await self._try(self.get_and_submit_flow_runs)
            seconds = get_current_settings().worker.query_seconds * random.uniform(1 - POLL_JITTER, 1 + POLL_JITTER)
            await _until(self._asked, seconds)

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval_seconds)
            await self._try(self.sync_with_backend)

    async def _hear(self) -> None:
        async with aclosing(
            due_work(current_client(), work_pool=self._work_pool_name, queues=sorted(self.work_queues), prefetch_seconds=self.prefetch_seconds)
        ) as heard:
            async for what in heard:
                if what == "due":
                    self._asked.set()
                else:
                    await self._try(self.cancel_runs)

    async def _watch_cancellations(self) -> None:
        while True:
            await asyncio.sleep(get_current_settings().worker.cancellation_poll_seconds)
            await self._try(self.cancel_runs)

    async def cancel_runs(self) -> None:
        """Ask which runs of this worker are being cancelled, and stop their infrastructure in the background."""
        for id in await pools.cancelling_runs(list(self._runs)):
            one = self._runs.get(id)
            if one is not None:
                helper = asyncio.ensure_future(one.cancel(KILL_GRACE_SECONDS))
                self._helpers.add(helper)
                helper.add_done_callback(self._helpers.discard)

    async def _try(self, work: Callable[[], Any]) -> None:
        """Do what the worker does again and again; what fails is said and tried the next time."""
        try:
            await work()
        except ServerUnreachable as error:
            self._is_reached = False
            self._say(f"{error} The worker goes on trying.")
        except ObjectNotFound as error:
            self._work_pool = None
            self._say(str(error))
        except Exception:
            self._logger.exception("The worker failed at %s; it tries again later.", getattr(work, "__name__", "its work"))
        else:
            self._said = ""

    def _say(self, text: str) -> None:
        """Log a warning, but not the same again and again."""
        if text != self._said:
            self._said = text
            self._logger.warning("%s", text)


def check_worker_name(name: str) -> None:
    """Raise `ValueError` for a name that cannot be part of an address."""
    if "/" in name or "%" in name:
        raise ValueError(f"The worker name {name!r} contains '/' or '%', which names cannot: they are part of addresses.")


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


__all__ = ["BaseJobConfiguration", "BaseVariables", "BaseWorker", "BaseWorkerResult", "Started"]
