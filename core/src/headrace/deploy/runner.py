"""`Runner`: registers deployments and runs their runs in this machine's processes. It runs no code of users itself."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.client.websocket import api_url
from headrace.data.annotations import NotSet
from headrace.deploy.children import Launcher
from headrace.deploy.deployments import RunnerDeployment, deployment_options
from headrace.deploy.dispatch import due_work
from headrace.deploy.health import serving_runner_health
from headrace.deploy.runner_run import HeldRun
from headrace.deploy.workers.claims import Claims
from headrace.deploy.workers.stopping import stop_on_signals
from headrace.engine.logs import get_logger, setup
from headrace.model import clock
from headrace.model.entrypoints import EntrypointType
from headrace.model.errors import HeadraceException, ObjectNotFound
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace.deploy.deployments import OneOrMore
    from headrace.deploy.schedules import Schedule
    from headrace.deploy.versions import VersionType
    from headrace.engine.flow import Flow
    from headrace.model.deployments import ConcurrencyLimitConfig
    from headrace.model.flow_runs import FlowRun

RUNS_AT_ONCE_MAX = 200
"""Runs that are asked for at once; the rest are asked for when some of these have begun."""
GOODBYE_SECONDS_MAX = 10.0
"""How long the last words to the server may take when the runner ends."""


class Runner:
    """Runs the runs of deployments in processes of this machine.

    `name`: in logs and events. `query_seconds`: between two looks for due runs, besides being told of them; default `HEADRACE_RUNNER_POLL_FREQUENCY`.
    `prefetch_seconds`: how long before its time a run is fetched. `heartbeat_seconds`: between the signs of life of each run. `limit`: runs at once,
    default `HEADRACE_RUNNER_PROCESS_LIMIT`; None: any number. `pause_on_shutdown`: pause the deployments at the end. `webserver`: serve the
    runner's health, where `HEADRACE_RUNNER_SERVER_*` says. Raises `ValueError` for a name with `/` or `%`.
    """

    last_polled: datetime | None = None
    """When the server was asked for runs last."""

    def __init__(
        self,
        name: str | None = None,
        query_seconds: float | None = None,
        prefetch_seconds: float = 10,
        heartbeat_seconds: float | None = None,
        limit: int | type[NotSet] | None = NotSet,
        pause_on_shutdown: bool = True,
        webserver: bool = False,
    ) -> None:
        settings = get_current_settings().runner
        if name and any(character in name for character in "/%"):
            raise ValueError(f"The name of a runner cannot contain '/' or '%', as {name!r} does.")
        self.name = Path(name).stem if name else f"runner-{threading.get_native_id()}"
        self.logger = get_logger("runner")
        self.query_seconds = query_seconds or settings.poll_frequency
        self.prefetch_seconds = prefetch_seconds
        self.heartbeat_seconds = heartbeat_seconds
        self.limit: int | None = settings.process_limit if limit is NotSet else limit  # pyright: ignore[reportAttributeAccessIssue]  # NotSet is excluded
        self.pause_on_shutdown = pause_on_shutdown
        self.webserver = webserver or settings.server.enable
        self.is_stopping = False
        self.greeting: Callable[[], None] | None = None
        """Called once it hears signals."""
        self.storage_folder: Path | None = None
        self.deployments: dict[UUID, RunnerDeployment] = {}
        self.held: dict[UUID, HeldRun] = {}
        self._is_started = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- what is to be run ------------------------------------------------------------------------------------------------------

    async def aadd_deployment(self, deployment: RunnerDeployment) -> UUID:
        """Register a deployment, whose runs are run here once the runner has started; return its id. Raises as `RunnerDeployment.apply`."""
        if deployment.storage is not None:
            if self.storage_folder is None:
                self.storage_folder = Path(tempfile.mkdtemp(prefix="headrace-runner-"))
            deployment.storage.set_base_path(self.storage_folder)
            await deployment.storage.pull_code()
        id = await deployment.aapply()
        self.deployments[id] = deployment
        if self._is_started:
            self._follow(id)
        return id

    add_deployment = blocking(aadd_deployment)

    async def aadd_flow(
        self,
        flow: Flow[..., Any],
        name: str | None = None,
        interval: OneOrMore[float] | OneOrMore[timedelta] | None = None,
        cron: OneOrMore[str] | None = None,
        rrule: OneOrMore[str] | None = None,
        paused: bool | None = None,
        schedule: Schedule | Any | None = None,
        schedules: Sequence[Any] | None = None,
        concurrency_limit: int | ConcurrencyLimitConfig | None = None,
        parameters: dict[str, Any] | None = None,
        triggers: Sequence[Any] | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        version: str | None = None,
        enforce_parameter_schema: bool = True,
        entrypoint_type: EntrypointType = EntrypointType.FILE_PATH,
        version_type: VersionType | str | None = None,
    ) -> UUID:
        """Register a deployment of a flow, called like the runner unless a name is given; see `Flow.to_deployment` and `add_deployment`."""
        options = deployment_options(locals())
        api_url("A runner")
        deployment = RunnerDeployment.from_flow(flow, name or self.name, entrypoint_type=entrypoint_type, **options)
        return await self.aadd_deployment(deployment)

    add_flow = blocking(aadd_flow)

    # --- running ------------------------------------------------------------------------------------------------------------------

    async def start(self, run_once: bool = False, webserver: bool | None = None) -> None:
        """Run what is due until the runner is told to stop, by `stop`, Ctrl-C or SIGTERM.

        Then nothing more is taken, the deployments are paused (if so wished) and the processes are ended: those of runs in progress have 10 seconds
        to report that they crashed. A second signal ends them at once. With `run_once` it ends when all has ended that is due now.
        """
        api_url("A runner")
        async with self._started(self.webserver if webserver is None else webserver):
            if run_once:
                await self._fetch()
                await asyncio.gather(*self._tasks)
                return
            while not self.is_stopping:
                self._wake.clear()
                await self._unless_stopping(self._look())
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self.query_seconds)

    async def _unless_stopping(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for something, but no longer than until the runner is to stop: a server that is away may be asked for long."""
        doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
        finally:
            doing.cancel()
            stopping.cancel()

    @asynccontextmanager
    async def _started(self, webserver: bool) -> AsyncGenerator[None]:
        setup()
        self._loop = asyncio.get_running_loop()
        self._wake, self._stopping = asyncio.Event(), asyncio.Event()
        self.room = asyncio.Semaphore(self.limit) if self.limit is not None else _Unlimited()
        self.launcher = Launcher()
        self.claims = Claims(current_client(), self.logger)
        self._is_started, self.is_stopping = True, False
        is_main = threading.current_thread() is threading.main_thread()
        with stop_on_signals(self._ask_to_stop, self._kill_all, is_main):
            if self.greeting is not None:
                self.greeting()  # whoever reads it may send a signal at once
            async with serving_runner_health(self, webserver):
                await self.launcher.warm_up()
                self._spawn_background(self.claims.beat())
                self._listener = self._spawn_background(self._listen())
                for id in self.deployments:
                    self._follow(id, restart=False)
                try:
                    yield
                finally:
                    await self._end()

    async def _end(self) -> None:
        self.is_stopping = True
        self.claims.is_patient = False
        for task in self._background:
            task.cancel()
        for held in self.held.values():
            held.give_up()
        await asyncio.gather(self._pause_deployments(), *(held.stop() for held in list(self.held.values())))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GOODBYE_SECONDS_MAX)
        await self.launcher.close()
        self._is_started = False
        if self.storage_folder is not None:
            shutil.rmtree(self.storage_folder, ignore_errors=True)
            self.storage_folder = None

    async def _pause_deployments(self) -> None:
        if not self.pause_on_shutdown:
            return
        from headrace.model.endpoints.deployments import PAUSE_DEPLOYMENT

        self.logger.info("Pausing all deployments...")
        try:
            async with asyncio.timeout(GOODBYE_SECONDS_MAX):
                for id in self.deployments:
                    with suppress(ObjectNotFound):
                        await current_client().call(PAUSE_DEPLOYMENT, id=id)
        except (TimeoutError, HeadraceException, OSError) as error:
            self.logger.error("The deployments could not be paused, so their runs will pile up: %s", str(error) or "the server does not answer")
        else:
            self.logger.info("All deployments have been paused!")

    async def _look(self) -> None:
        """Start what is due and end what is being cancelled; a server that does not answer is asked again the next time."""
        try:
            await self._fetch()
            await self._end_cancelled()
        except (HeadraceException, OSError) as error:
            self.logger.warning("The server could not be asked for runs; asking again. %s", error)
            await asyncio.sleep(min(1.0, self.query_seconds))

    async def _fetch(self) -> None:
        from headrace.model.deployments import ScheduledRunsQuery
        from headrace.model.endpoints.deployments import GET_SCHEDULED_RUNS

        if not self.deployments:
            return
        until = clock.now() + timedelta(seconds=self.prefetch_seconds)
        query = ScheduledRunsQuery(deployment_ids=list(self.deployments), scheduled_before=until, limit=RUNS_AT_ONCE_MAX)
        runs = await current_client().call(GET_SCHEDULED_RUNS, query)
        self.last_polled = clock.now()
        for run in runs:
            if run.id not in self.held and not self.is_stopping:
                self._hold(run)

    def _hold(self, run: FlowRun) -> None:
        held = HeldRun(self, run, self.deployments.get(run.deployment_id) if run.deployment_id is not None else None)
        self.held[run.id] = held
        task = held.task = asyncio.create_task(held.conduct())
        self._tasks.add(task)

        def forget(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            self.held.pop(run.id, None)
            self._wake.set()  # it may be due again, as one that is to be tried once more, and there may be others

        task.add_done_callback(forget)

    async def _end_cancelled(self) -> None:
        from headrace.model.endpoints.run_queries import FILTER_FLOW_RUNS
        from headrace.model.run_filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
        from headrace.model.run_queries import FlowRunQuery
        from headrace.model.states import StateType

        ids = [id for id, held in self.held.items() if held.child is not None and not held.is_cancelled]
        if not ids:
            return
        state = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING]))
        query = FlowRunQuery(flow_runs=FlowRunFilter(id=FlowRunFilterId(any_=ids), state=state))
        for run in await current_client().call(FILTER_FLOW_RUNS, query):
            held = self.held.get(run.id)
            if held is not None:
                self._spawn_background(held.cancel())

    # --- hearing of it ------------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        told = due_work(current_client(), deployment_ids=list(self.deployments), prefetch_seconds=self.prefetch_seconds)
        async with contextlib.aclosing(told):
            async for _ in told:
                self._wake.set()

    def _follow(self, id: UUID, restart: bool = True) -> None:
        """Hear of the runs of a deployment too, and keep its code up to date."""
        if restart:
            self._listener.cancel()
            self._listener = self._spawn_background(self._listen())
            self._wake.set()
        storage = self.deployments[id].storage
        if storage is not None and storage.pull_interval:
            self._spawn_background(self._pull_again(storage))

    async def _pull_again(self, storage: Any) -> None:
        while True:
            await asyncio.sleep(storage.pull_interval)
            try:
                await storage.pull_code()
            except Exception as error:  # noqa: BLE001  # storages are users' code too; the code that is here serves until it works
                self.logger.warning("The code in %r could not be brought up to date: %s", storage, error)

    def _spawn_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    # --- stopping -----------------------------------------------------------------------------------------------------------------

    async def astop(self) -> None:
        """Take no more runs, and let `start` come to its end. Raises `RuntimeError` when the runner is not started."""
        self.stop()

    def stop(self) -> None:
        """Take no more runs, and let `start` come to its end. May be called from any thread. Raises `RuntimeError` when it is not started."""
        if not self._is_started or self._loop is None:
            raise RuntimeError("The runner is not started, so it cannot be stopped. Call its start() first.")
        self._loop.call_soon_threadsafe(self._ask_to_stop)

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Stop, as a handler of signals."""
        self.stop()

    def _ask_to_stop(self) -> None:
        self.logger.info("Stopping: nothing more is started, and what runs is ended.")
        self.is_stopping = True
        self._stopping.set()
        self._wake.set()

    async def _kill_all(self) -> None:
        await asyncio.gather(*(held.stop(0) for held in list(self.held.values())))

    def cancel_all(self) -> None:
        """End the processes of all runs now."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: self._spawn_background(self._kill_all()))

    def has_slots_available(self) -> bool:
        """Say whether one more run could be started now."""
        return self.limit is None or self.running < self.limit

    @property
    def running(self) -> int:
        """How many runs have a process now."""
        return sum(held.child is not None for held in self.held.values())

    async def execute_flow_run(self, flow_run_id: UUID, entrypoint: str | None = None) -> None:
        """Run one flow run in a process of its own, and watch for its cancellation until it has ended. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

        run = await current_client().call(READ_FLOW_RUN, id=flow_run_id)
        async with self._started(False):
            self._hold(run)
            if entrypoint is not None:
                self.held[run.id].entrypoint = entrypoint
            while self._tasks and not self.is_stopping:
                self._wake.clear()
                with suppress(HeadraceException, OSError):
                    await self._end_cancelled()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self.query_seconds)


class _Unlimited:
    """Room for any number of runs."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...
