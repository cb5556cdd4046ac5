"""Futures of runs that task workers run, and the thread that hears of their ends."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID
from weakref import WeakSet

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.data.state_results import aget_state_result
from headrace.engine.futures import HeadraceFuture
from headrace.model.endpoints.task_runs import FILTER_TASK_RUNS, READ_TASK_RUN
from headrace.model.errors import HeadraceException, UpstreamTaskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrace.client.interface import Client
    from headrace.model.states import State

R = TypeVar("R")

ASKED_AT_ONCE_MAX = 200
ASK_SECONDS_MIN = 0.02
ASK_SECONDS_MAX = 0.5
"""How often the server is asked for runs that are waited for: soon at first, then less and less often."""


class HeadraceDistributedFuture(HeadraceFuture[R]):
    """A task run that a task worker runs. It can be pickled, and made of a run's id: `HeadraceDistributedFuture(task_run_id)`."""

    __slots__ = ("_id", "_name", "_read_failure")

    def __init__(self, task_run_id: UUID, name: str | None = None) -> None:
        super().__init__(cast("Any", None))
        self._id = task_run_id
        self._name = name
        self._read_failure: BaseException | None = None

    @property
    def task_run_id(self) -> UUID:
        return self._id

    @property
    def name(self) -> str:
        return self._name or str(self._id)

    @property
    def state(self) -> State:
        """The state of the task run, asked of the server until it has ended. Raises `ObjectNotFound` when it was deleted."""
        self._seen = True
        if self._state is None:
            state = drive(current_client().call(READ_TASK_RUN, id=self._id)).state
            if state is None or not has_ended(state):
                return cast("State", state)
            self.end(state)
        return cast("State", self._state)

    def block(self, timeout: float | None = None) -> None:
        if not self._done:
            _watcher.watch(self)
        super().block(timeout)

    def add_done_callback(self, fn: Callable[[HeadraceFuture[R]], None]) -> None:
        super().add_done_callback(fn)
        if not self._done:
            _watcher.watch(self)

    async def wait_async(self, timeout: float | None = None) -> None:
        """Wait until the run has ended, or for `timeout` seconds; never raises for lack of time."""
        import asyncio

        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def tell(_: HeadraceFuture[R]) -> None:
            with suppress(RuntimeError):  # the loop that waited is closed
                loop.call_soon_threadsafe(ended.set)

        self.add_done_callback(tell)
        try:
            await asyncio.wait_for(ended.wait(), timeout)
        except TimeoutError:
            return

    async def result_async(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Wait, and return the task's value; as `result`."""
        await self.wait_async(timeout)
        return await self._value(timeout, raise_on_failure)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        self.wait(timeout)
        return drive(self._value(timeout, raise_on_failure))

    async def _value(self, timeout: float | None, raise_on_failure: bool) -> R:
        self._seen = True
        if not self._done:
            raise TimeoutError(f"Task run {self.name!r} did not end within {timeout} seconds; it goes on.")
        if self._read_failure is not None:
            raise self._read_failure
        state = self._state
        assert state is not None, "a run that has ended has a state"
        if state.name == "NotReady":
            error = UpstreamTaskError(state.message)
            if raise_on_failure:
                raise error
            return cast("R", error)
        return await aget_state_result(state, raise_on_failure)

    def end(self, state: State | None, failure: BaseException | None = None) -> None:
        """Say that the run will not change any more, or why that cannot be known."""
        if not self._done:
            self._state, self._read_failure = state, failure
            self.finish()

    @property
    def failed_unseen(self) -> bool:
        return not self._seen and self._state is not None and not self._state.is_completed()

    def abandon(self, message: str) -> None:
        """Do nothing: the run goes on without the flow run that asked for it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._id, self._name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(task_run_id={str(self._id)!r})"


def has_ended(state: State) -> bool:
    """Say whether a run in this state will not change by itself."""
    return state.is_final() or state.name == "NotReady"


def _end(future: HeadraceDistributedFuture[Any], state: State | None, failure: BaseException | None = None) -> None:
    try:
        future.end(state, failure)
    except Exception:  # the border to users' callbacks
        logging.getLogger("headrace.futures").exception("A callback of task run %s raised.", future.name)


class _Watcher:
    """One thread of this process that asks for all runs that are waited for, many at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: dict[int, tuple[Client, WeakSet[HeadraceDistributedFuture[Any]]]] = {}
        self._thread: threading.Thread | None = None
        self._pause = ASK_SECONDS_MIN

    def watch(self, future: HeadraceDistributedFuture[Any]) -> None:
        """End `future` when its run has ended."""
        client = current_client()
        with self._changed:
            _, futures = self._watched.setdefault(id(client), (client, WeakSet()))
            futures.add(future)
            self._pause = ASK_SECONDS_MIN
            if self._thread is None or not self._thread.is_alive():  # after a fork it is gone
                self._thread = threading.Thread(target=self._ask_on, name="headrace-background-runs", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _ask_on(self) -> None:
        while True:
            with self._changed:
                self._watched = {key: kept for key, kept in self._watched.items() if len(kept[1])}
                self._changed.wait(self._pause if self._watched else None)
                watched = [(client, list(futures)) for client, futures in self._watched.values()]
                self._pause = min(self._pause * 1.3, ASK_SECONDS_MAX)
            for client, futures in watched:
                for first in range(0, len(futures), ASKED_AT_ONCE_MAX):
                    self._ask(client, futures[first : first + ASKED_AT_ONCE_MAX])

    def _ask(self, client: Client, futures: list[HeadraceDistributedFuture[Any]]) -> None:
        from headrace.model.run_filters import TaskRunFilter, TaskRunFilterId
        from headrace.model.run_queries import TaskRunQuery

        open_ones = [future for future in futures if not future.done]
        wanted = TaskRunFilter(id=TaskRunFilterId(any_=[future.task_run_id for future in open_ones]))
        try:
            runs = drive(client.call(FILTER_TASK_RUNS, TaskRunQuery(task_runs=wanted))) if open_ones else []
        except (HeadraceException, OSError):
            return  # the server is away; it is asked again
        found = {run.id: run for run in runs}
        for future in open_ones:
            run = found.get(future.task_run_id)
            if run is None:
                from headrace.model.errors import ObjectNotFound

                _end(future, None, ObjectNotFound(help_message=f"The task run {future.task_run_id} does not exist any more, or never did."))
            elif run.state is not None and has_ended(run.state):
                _end(future, run.state)
        with self._changed:
            for _, kept in self._watched.values():
                for future in futures:
                    if future.done:
                        kept.discard(future)


_watcher = _Watcher()
