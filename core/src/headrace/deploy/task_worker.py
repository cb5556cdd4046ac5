"""The task worker: takes background runs of its tasks from the server and runs them in this process.

It holds each run until it has ended. When it goes away before that, the server gives the run to another worker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import datetime
from functools import partial, wraps
from inspect import isasyncgenfunction
from types import FrameType
from typing import Any
from uuid import UUID

from headrace.client import bridge
from headrace.client.bridge import blocking, run_awaitable
from headrace.client.connect import current_client
from headrace.client.recording import spool
from headrace.client.websocket import Reconnecting, http_to_ws
from headrace.data.functions import UserFunction
from headrace.deploy.background import aparameter_store, aread_parameters
from headrace.deploy.background_futures import HeadraceDistributedFuture
from headrace.deploy.task_status import StatusServer
from headrace.engine.context import hydrated_context
from headrace.engine.direct import background_call
from headrace.engine.task import Task
from headrace.engine.task_run import run_submitted, start_call
from headrace.model import clock
from headrace.model.endpoints.task_runs import DELETE_TASK_RUN
from headrace.model.errors import HeadraceException, HeadraceHTTPStatusError, ServerUnreachable
from headrace.model.task_runs import TaskRun
from headrace.settings import get_current_settings

AnyTask = Task[..., Any]

THREADS_MAX = 1_000
"""How many blocking tasks run at once where there is no limit."""
RECONNECT_ATTEMPTS = 8
"""How often in a row to connect again before that is told of; then it goes on."""

logger = logging.getLogger("headrace.task_worker")


class StopTaskWorker(HeadraceException):
    """The task worker was told to stop."""


class TaskWorker:
    """Runs background runs of `tasks`, at most `limit` at once (None: as many as come).

    Blocking tasks run in threads, async ones on the worker's event loop. `start` (or `await astart()`) works until `stop`, SIGTERM or its
    `timeout`; runs that have begun are finished first. Raises `ValueError` without tasks or for a wrong limit, `TypeError` for what is no task.
    """

    def __init__(self, *tasks: AnyTask, limit: int | None = 10) -> None:
        if not tasks:
            raise ValueError("A task worker needs at least one task to serve.")
        for task in tasks:
            if not isinstance(task, Task):  # pyright: ignore[reportUnnecessaryIsInstance]  # users pass functions and flows
                raise TypeError(f"A task worker serves tasks, functions decorated with @task; {task!r} is {type(task).__name__}.")
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be 1 or more, or None for no limit, not {limit}.")
        self.tasks = list(tasks)
        self._by_key = {task.task_key: _persisting(task) for task in tasks}
        self._limit = limit
        self._client_id = f"{socket.gethostname()}-{os.getpid()}"
        self._started_at: datetime | None = None
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._busy = 0
        self._finished = 0
        self._is_stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._room: asyncio.Semaphore | None = None
        self._connection: Reconnecting | None = None
        self._threads: ThreadPoolExecutor | None = None

    # --- what it is ----------------------------------------------------------------------------------------------------------

    @property
    def client_id(self) -> str:
        """What the worker is called among task workers: its machine and process."""
        return self._client_id

    @property
    def started(self) -> bool:
        """Whether the worker takes runs."""
        return self._started_at is not None

    @property
    def started_at(self) -> datetime | None:
        """Since when it takes runs."""
        return self._started_at

    @property
    def limit(self) -> int | None:
        """How many runs it runs at once; None: no limit."""
        return self._limit

    @property
    def current_tasks(self) -> int | None:
        """How many runs it runs now; None without a limit."""
        return self._busy if self._limit is not None else None

    @property
    def available_tasks(self) -> int | None:
        """How many runs it would take more; None without a limit."""
        return self._limit - self._busy if self._limit is not None else None

    def status(self) -> dict[str, Any]:
        """Return what the status page shows."""
        return {
            "client_id": self._client_id,
            "started_at": self._started_at.isoformat() if self._started_at else None,
            "stopping": self._is_stopping,
            "limit": self._limit,
            "current": self.current_tasks,
            "available": self.available_tasks,
            "tasks": sorted(self._by_key),
            "finished": self._finished,
            "in_flight": sorted(str(id) for id in self._running),
        }

    # --- its life --------------------------------------------------------------------------------------------------------------

    async def astart(self, timeout: float | None = None, status_server_port: int | None = None) -> None:
        """Take runs and run them, until the worker is stopped or `timeout` seconds have passed; then finish what has begun.

        `status_server_port`: serve `GET /status` there meanwhile. Raises `ValueError` without a server, `RuntimeError` for a worker that was
        started already, `HeadraceHTTPStatusError` when the server refuses the credentials.
        """
        if not get_current_settings().api.url:
            raise ValueError(
                "A task worker needs a server to take runs from, and no API URL is set. Start one with `headrace server start` and set "
                "HEADRACE_API_URL to its address."
            )
        if self._loop is not None:
            raise RuntimeError("This task worker was started already. Make another one.")
        work = self._work(timeout, status_server_port)
        if bridge.in_blocking_run():
            run_awaitable(work)
        else:
            await work

    start = blocking(astart)

    async def astop(self) -> None:
        """Have the worker take no more runs, and end when those that have begun are finished."""
        self._request_stop()

    stop = blocking(astop)

    def handle_sigterm(self, signum: int, frame: FrameType | None) -> None:
        """Stop; the handler of SIGTERM."""
        logger.info("The task worker was told to stop; it finishes the %d runs that have begun.", len(self._running))
        self._request_stop()

    def _request_stop(self) -> None:
        self._is_stopping = True
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def _work(self, timeout: float | None, status_server_port: int | None) -> None:
        from headrace.engine.ports import ASYNC
        from headrace.engine.startup import start_once

        await start_once(ASYNC)
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        if self._is_stopping:
            self._stopped.set()
        self._room = asyncio.Semaphore(self._limit) if self._limit is not None else None
        self._threads = ThreadPoolExecutor(self._limit or THREADS_MAX, thread_name_prefix="headrace-task")
        self._connection = Reconnecting(f"{http_to_ws(get_current_settings().api.url or '')}/task_runs/subscriptions/scheduled", RECONNECT_ATTEMPTS)
        status = await StatusServer.start(self.status, status_server_port) if status_server_port is not None else None
        listening = asyncio.ensure_future(self._listen())
        stopped = asyncio.ensure_future(self._stopped.wait())
        self._started_at = clock.now()
        try:
            with _terminated_by(self.handle_sigterm):
                await asyncio.wait({listening, stopped}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if listening.done() and not listening.cancelled():
                    listening.result()
                self._is_stopping = True
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                await self._drain()
        finally:
            ending: list[asyncio.Future[Any]] = [listening, stopped, *self._running.values()]
            for one in ending:
                one.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            await self._connection.drop()
            if status is not None:
                await status.stop()
            self._threads.shutdown(wait=False)
            self._started_at = None

    async def _drain(self) -> None:
        """Wait for the runs that have begun. Those that wait for others go back to the queue."""
        while self._busy:
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
        await self._tell("quit")

    async def _listen(self) -> None:
        from websockets.exceptions import ConnectionClosed

        connection = self._connection
        assert connection is not None
        logger.info("Task worker %s serves %s.", self._client_id, ", ".join(sorted(task.name for task in self._by_key.values())))
        while True:
            try:
                was_open = connection.is_open
                wire = await connection.open({"type": "subscribe", "keys": sorted(self._by_key), "client_id": self._client_id, **self._holding()})
                if not was_open:
                    logger.debug("The task worker is connected to %s.", connection.url)
                run = TaskRun.model_validate_json(await wire.recv())
                self._take(run)
                await wire.send(json.dumps({"type": "ack"}))
            except ConnectionClosed as closed:
                logger.warning("The server closed the connection (%s); the task worker connects again.", closed)
                await connection.drop()
            except HeadraceHTTPStatusError:
                raise
            except ServerUnreachable as error:
                logger.warning("%s The task worker tries on.", error)

    def _holding(self) -> dict[str, Any]:
        return {"holds": [str(id) for id in self._running], "limit": self._limit}

    async def _tell(self, kind: str, *ids: UUID) -> None:
        """Tell the server; a connection that is broken tells it by itself."""
        from websockets.exceptions import ConnectionClosed

        connection = self._connection
        if connection is None or not connection.is_open:
            return
        with suppress(ConnectionClosed, ServerUnreachable):
            await (await connection.open()).send(json.dumps({"type": kind, "ids": [str(id) for id in ids]}))

    # --- runs ------------------------------------------------------------------------------------------------------------------

    def _take(self, run: TaskRun) -> None:
        if run.id in self._running:
            return  # the server did not hear in time that it is here
        work = asyncio.ensure_future(self._hold(run))
        self._running[run.id] = work

    async def _hold(self, run: TaskRun) -> None:
        try:
            await self.execute_task_run(run)
            await spool().settle()  # what is told as done must have been recorded
        except asyncio.CancelledError:
            raise
        except Exception:  # the border of a run: the worker goes on
            logger.exception("Task run %r (%s) could not be run.", run.name, run.id)
        finally:
            self._running.pop(run.id, None)
        self._finished += 1
        await self._tell("done", run.id)

    async def execute_task_run(self, task_run: TaskRun) -> None:
        """Run a background run with the parameters that it was submitted with. What it raises is recorded, not raised.

        A run of a task that is not served here, or whose parameters cannot be read, is deleted, unless the setting
        `tasks.scheduling.delete_failed_submissions` is off.
        """
        task = self._by_key.get(task_run.task_key)
        if task is None:
            await self._refuse(task_run, f"no task with the key {task_run.task_key!r} is served here")
            return
        try:
            document = await _read_document(task, task_run)
        except Exception as error:  # noqa: BLE001  # unpickling runs users' code
            await self._refuse(task_run, f"its parameters cannot be read: {type(error).__name__}: {error}")
            return
        parameters: Any = document.get("parameters") or {}
        wait_for, context = document.get("wait_for"), _context(document.get("context"))
        await self._await_upstream(task_run, (parameters, wait_for))
        if self._is_stopping and self._loop is not None:
            raise asyncio.CancelledError  # it goes back to the queue
        if self._room is None:
            await self._run(task, task_run, parameters, wait_for, context)
            return
        async with self._room:
            await self._run(task, task_run, parameters, wait_for, context)

    async def _await_upstream(self, task_run: TaskRun, given: Any) -> None:
        """Wait for the background runs among the arguments. A run that only waits takes nobody's place."""
        from headrace.engine.dependencies import find_futures

        upstream = [future for future in find_futures(given) if isinstance(future, HeadraceDistributedFuture)]
        if not upstream:
            return
        await self._tell("waits", task_run.id)
        await asyncio.gather(*(future.wait_async() for future in upstream))
        await self._tell("goes on", task_run.id)

    async def _run(self, task: AnyTask, task_run: TaskRun, parameters: Any, wait_for: Any, context: Any) -> None:
        self._busy += 1
        try:
            if task.isasync:
                with hydrated_context(context), suppress(Exception):  # what it raised is recorded
                    await start_call(background_call(task, task_run, parameters, wait_for), return_state=True)
            else:
                here = copy_context()
                work = partial(_run_here, task, task_run, parameters, wait_for, context)
                await asyncio.get_running_loop().run_in_executor(self._threads, here.run, work)
        finally:
            self._busy -= 1

    async def _refuse(self, task_run: TaskRun, reason: str) -> None:
        deletes = get_current_settings().tasks.scheduling.delete_failed_submissions
        logger.error("Task run %r (%s) cannot be run: %s.%s", task_run.name, task_run.id, reason, " It is deleted." if deletes else "")
        if deletes:
            await current_client().call(DELETE_TASK_RUN, id=task_run.id)


def _run_here(task: AnyTask, task_run: TaskRun, parameters: Any, wait_for: Any, context: Any) -> None:
    with hydrated_context(context):
        run_submitted(background_call(task, task_run, parameters, wait_for))


def _persisting(task: AnyTask) -> AnyTask:
    """Return the task with its results kept: whoever submitted a run reads its result in another process."""
    from headrace.data.caching import DEFAULT

    no_key = getattr(task.cache_policy, "is_no_cache", False) and task.result_storage_key is None
    served = task.with_options(persist_result=True, **({"cache_policy": DEFAULT, "cache_key_fn": None} if no_key else {}))
    served._task_key = task.task_key  # pyright: ignore[reportPrivateUsage]  # what its runs are found by stays the same
    if task.isgenerator:
        served.fn = _collecting(task.fn)
        served.function = UserFunction(served.fn)
        served.isasync, served.isgenerator = served.function.is_async, False
    return served


def _collecting(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose value is the list of what a generator function yields: nobody iterates a run in the background."""
    if isasyncgenfunction(fn):

        @wraps(fn)
        async def collect_async(*args: Any, **kwargs: Any) -> list[Any]:
            return [value async for value in fn(*args, **kwargs)]

        return collect_async

    @wraps(fn)
    def collect(*args: Any, **kwargs: Any) -> list[Any]:
        return list(fn(*args, **kwargs))

    return collect


async def _read_document(task: AnyTask, task_run: TaskRun) -> dict[str, Any]:
    """Return what the run was submitted with; nothing for a run that was made without parameters."""
    identifier = task_run.state.state_details.task_parameters_id if task_run.state is not None else None
    if identifier is None:
        return {}
    return await aread_parameters(await aparameter_store(task), identifier)


def _context(pickled: bytes | None) -> Any:
    """Return the context of the flow run that submitted a run. A worker that lacks the flow's code does without it."""
    if pickled is None:
        return None
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]  # it has none

    try:
        return cloudpickle.loads(pickled)
    except Exception as error:  # noqa: BLE001  # unpickling runs users' code
        logger.debug("A run begins without the context of its flow run: %s: %s", type(error).__name__, error)
        return None


@contextmanager
def _terminated_by(handler: Any) -> Generator[None, None, None]:
    """Have SIGTERM call `handler` in the block; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def aserve(*tasks: AnyTask, limit: int | None = 10, status_server_port: int | None = None, timeout: float | None = None) -> None:
    """Run background runs of these tasks in this process, until it is told to stop (SIGTERM, Ctrl-C) or `timeout` seconds have passed.

    `limit`: how many at once; None for no limit. `status_server_port`: serve `GET /status` there. Raises `ValueError` without a server.
    """
    worker = TaskWorker(*tasks, limit=limit)
    with suppress(StopTaskWorker, KeyboardInterrupt, asyncio.CancelledError):
        await worker.astart(timeout, status_server_port)


serve = blocking(aserve)
