"""Futures of runs that others run: task workers, and whoever runs deployments. And the thread that hears of their ends."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from uuid import UUID
from weakref import WeakSet

from headrace.client.bridge import blocking, drive, in_blocking_run
from headrace.client.connect import current_client
from headrace.data.state_results import aget_state_result
from headrace.engine.futures import HeadraceFuture
from headrace.model.endpoints.task_runs import FILTER_TASK_RUNS
from headrace.model.errors import HeadraceException, ObjectNotFound, UpstreamTaskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrace.client.interface import Client
    from headrace.model.states import State

R = TypeVar("R")

ASKED_AT_ONCE_MAX = 200
ASK_SECONDS_MIN = 0.02
ASK_SECONDS_MAX = 0.5
"""How often the server is asked for runs that are waited for: soon at first, then less and less often."""


class RemoteFuture(HeadraceFuture[R]):
    """A run that is read from the server. It can be pickled."""

    __slots__ = ("_id", "_name", "_read_failure")
    what: ClassVar[str] = "task run"

    def __init__(self, id: UUID, name: str | None = None) -> None:
        super().__init__(cast("Any", None))
        self._id = id
        self._name = name
        self._read_failure: BaseException | None = None

    @classmethod
    def states(cls, client: Client, ids: list[UUID]) -> dict[UUID, State | None]:
        """Return the states of these runs; those that do not exist are left out."""
        from headrace.model.run_filters import TaskRunFilter, TaskRunFilterId
        from headrace.model.run_queries import TaskRunQuery

        wanted = TaskRunFilter(id=TaskRunFilterId(any_=ids))
        return {run.id: run.state for run in drive(client.call(FILTER_TASK_RUNS, TaskRunQuery(task_runs=wanted)))}

    @property
    def id(self) -> UUID:
        """The id of the run."""
        return self._id

    @property
    def name(self) -> str:
        return self._name or str(self._id)

    @property
    def state(self) -> State:
        """The state of the run, asked of the server until it has ended. Raises `ObjectNotFound` when it was deleted."""
        self._seen = True
        if self._state is None:
            found = self.states(current_client(), [self._id])
            if self._id not in found:
                raise _gone(self)
            state = found[self._id]
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
        """Wait, and return the run's value; as `result`."""
        await self.wait_async(timeout)
        return await self._value(timeout, raise_on_failure)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        self.wait(timeout)
        return drive(self._value(timeout, raise_on_failure))

    async def _value(self, timeout: float | None, raise_on_failure: bool) -> R:
        self._seen = True
        if not self._done:
            raise TimeoutError(f"{self.what.capitalize()} {self.name!r} did not end within {timeout} seconds; it goes on.")
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
        return f"{type(self).__name__}({str(self._id)!r})"


class HeadraceDistributedFuture(RemoteFuture[R]):
    """A task run that a task worker runs; can be made of its id: `HeadraceDistributedFuture(task_run_id)`."""

    __slots__ = ()

    def __init__(self, task_run_id: UUID, name: str | None = None) -> None:
        super().__init__(task_run_id, name)

    @property
    def task_run_id(self) -> UUID:
        return self._id


class HeadraceFlowRunFuture(RemoteFuture[R]):
    """A flow run that a deployment's worker or server runs; made of its id: `HeadraceFlowRunFuture(flow_run_id)`.

    Its result can be read here only if the flow keeps it where both can reach it.
    """

    __slots__ = ()
    what = "flow run"

    def __init__(self, flow_run_id: UUID, name: str | None = None) -> None:
        super().__init__(flow_run_id, name)

    @property
    def flow_run_id(self) -> UUID:
        """The id of the flow run."""
        return self._id

    @classmethod
    def states(cls, client: Client, ids: list[UUID]) -> dict[UUID, State | None]:
        from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
        from headrace.model.run_filters import FlowRunFilter, FlowRunFilterId
        from headrace.model.run_queries import FlowRunQuery

        wanted = FlowRunFilter(id=FlowRunFilterId(any_=ids))
        return {run.id: run.state for run in drive(client.call(FILTER_FLOW_RUNS, FlowRunQuery(flow_runs=wanted)))}

    async def aresult(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Wait, and return the flow's value. Raises `TimeoutError`, and what the flow raised; see `HeadraceFuture.result`."""
        if in_blocking_run():
            self.wait(timeout)
        else:
            await self.wait_async(timeout)
        return await self._value(timeout, raise_on_failure)

    result = blocking(aresult)  # pyright: ignore[reportAssignmentType]  # as documented, to be awaited inside an event loop


def _gone(future: RemoteFuture[Any]) -> ObjectNotFound:
    return ObjectNotFound(help_message=f"The {future.what} {future.id} does not exist any more, or never did.")


def has_ended(state: State) -> bool:
    """Say whether a run in this state will not change by itself."""
    return state.is_final() or state.name == "NotReady"


def _end(future: RemoteFuture[Any], state: State | None, failure: BaseException | None = None) -> None:
    try:
        future.end(state, failure)
    except Exception:  # the border to users' callbacks
        logging.getLogger("headrace.futures").exception("A callback of the %s %s raised.", future.what, future.name)


class _Watcher:
    """One thread of this process that asks for all runs that are waited for, many at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: dict[tuple[int, type], tuple[Client, WeakSet[RemoteFuture[Any]]]] = {}
        self._thread: threading.Thread | None = None
        self._pause = ASK_SECONDS_MIN

    def watch(self, future: RemoteFuture[Any]) -> None:
        """End `future` when its run has ended."""
        client = current_client()
        with self._changed:
            _, futures = self._watched.setdefault((id(client), type(future)), (client, WeakSet()))
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

    def _ask(self, client: Client, futures: list[RemoteFuture[Any]]) -> None:
        open_ones = [future for future in futures if not future.done]
        try:
            found = type(futures[0]).states(client, [future.id for future in open_ones]) if open_ones else {}
        except (HeadraceException, OSError):
            return  # the server is away; it is asked again
        for future in open_ones:
            state = found.get(future.id)
            if future.id not in found:
                _end(future, None, _gone(future))
            elif state is not None and has_ended(state):
                _end(future, state)
        with self._changed:
            for _, kept in self._watched.values():
                for future in futures:
                    if future.done:
                        kept.discard(future)


_watcher = _Watcher()
