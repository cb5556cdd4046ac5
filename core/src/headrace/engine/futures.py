"""Handles to runs that go on elsewhere: in a thread, in a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from headrace.data.collections import visit_collection
from headrace.model.clock import monotonic

if TYPE_CHECKING:
    from headrace.data.task_record import TaskRecord
    from headrace.model.states import State

R = TypeVar("R")

_lock = threading.Lock()  # guards the moment of completion of every future; held for a few instructions
_waits: threading.local = threading.local()


class HeadraceFuture(Generic[R]):
    """A task run that was submitted. `task_run_id` names it; `state` is its state now."""

    __slots__ = ("__weakref__", "_callbacks", "_done", "_event", "_record", "_seen", "_state")

    def __init__(self, record: TaskRecord) -> None:
        self._record: TaskRecord = record
        self._state: State | None = None
        self._done = False
        self._seen = False
        self._event: threading.Event | None = None
        self._callbacks: list[Callable[[HeadraceFuture[R]], None]] | None = None

    @property
    def task_run_id(self) -> UUID:
        """The id of the task run."""
        return self._record.id

    @property
    def state(self) -> State:
        """The state of the task run at this moment."""
        self._seen = True
        if self._state is not None:
            return self._state
        if not self._record.states:
            from headrace.model.states import Pending, StateDetails

            return Pending(state_details=StateDetails(task_run_id=self._record.id, flow_run_id=self._record.flow_run_id))
        return self._record.state()

    @property
    def done(self) -> bool:
        """Whether the task run will not change any more."""
        return self._done

    @property
    def name(self) -> str:
        """The name of the task run."""
        return self._record.name

    def wait(self, timeout: float | None = None) -> None:
        """Block until the task run has ended, or for `timeout` seconds; never raises for lack of time."""
        self._seen = True
        self.block(timeout)

    def block(self, timeout: float | None = None) -> None:
        """Wait as `wait` does, but not on the user's behalf: a failure that nobody looks at is still warned of."""
        if self._done:
            return
        with _lock:
            if self._done:
                return
            event = self._event
            if event is None:
                event = self._event = threading.Event()
        blocked = getattr(_waits, "blocked", None)
        if blocked is None:
            event.wait(timeout)
        else:
            with blocked():
                event.wait(timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Wait, and return the task's value. Raises `TimeoutError` when it takes longer than `timeout` seconds, and the task's
        exception when it failed (returned instead with `raise_on_failure=False`)."""
        self.wait(timeout)
        self._seen = True
        if not self._done:
            raise TimeoutError(f"Task run {self.name!r} did not end within {timeout} seconds; it goes on.")
        from headrace.engine.final_states import result_of_record

        return result_of_record(self._record, raise_on_failure)

    def add_done_callback(self, fn: Callable[[HeadraceFuture[R]], None]) -> None:
        """Call `fn(future)` when the run ends: in the thread that ends it, or here and now when it has ended."""
        with _lock:
            if not self._done:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(fn)
                return
        fn(self)

    def finish(self) -> None:
        """Say that the run will not change any more; called once, by what ran it."""
        with _lock:
            self._done = True
            event, self._event = self._event, None
            callbacks, self._callbacks = self._callbacks, None
        if event is not None:
            event.set()
        for callback in callbacks or ():
            callback(self)

    @property
    def failed_unseen(self) -> bool:
        """Whether the run did not complete and nobody asked for its result or state."""
        return not self._seen and self._done and bool(self._record.states) and self._record.states[-1][1] != "COMPLETED"

    def abandon(self, message: str) -> None:
        """Record that the run will not end because its flow run was stopped."""
        from headrace.client.recording import spool

        if not self._record.is_final:
            self._record.enter("CRASHED", "Crashed", message)
            spool().close_record(self._record)

    def replace_record(self, record: TaskRecord) -> None:
        """Take over what another process kept of the run."""
        self._record = record

    def __repr__(self) -> str:
        return f"{type(self).__name__}(task_run_id={self._record.id_text!r})"


class HeadraceConcurrentFuture(HeadraceFuture[R]):
    """A task run in this machine's threads or processes."""

    __slots__ = ()


class HeadraceFutureList(list[HeadraceFuture[R]], Iterator[HeadraceFuture[R]]):
    """The futures of a `map`, in the order of its inputs."""

    def __next__(self) -> HeadraceFuture[R]:
        raise TypeError("A list of futures is no iterator; use iter(...) or a for loop.")

    def __iter__(self) -> Iterator[HeadraceFuture[R]]:
        return super().__iter__()

    def wait(self, timeout: float | None = None) -> None:
        """Block until all have ended, or for `timeout` seconds in all."""
        wait(self, timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """Return all values in order. Raises as soon as one has failed, though others still run; `TimeoutError` after `timeout` seconds."""
        if raise_on_failure:
            for future in as_completed(self, timeout):
                future.result(raise_on_failure=True)
        else:
            wait(self, timeout)
        if any(not future.done for future in self):
            raise TimeoutError(f"{sum(not future.done for future in self)} of {len(self)} task runs did not end within {timeout} seconds.")
        return [future.result(raise_on_failure=raise_on_failure) for future in self]


@dataclass(frozen=True)
class DoneAndNotDoneFutures(Generic[R]):
    """What `wait` answers."""

    done: set[HeadraceFuture[R]]
    not_done: set[HeadraceFuture[R]]

    def __iter__(self) -> Iterator[set[HeadraceFuture[R]]]:
        return iter((self.done, self.not_done))


def as_completed(futures: Sequence[HeadraceFuture[R]], timeout: float | None = None) -> Generator[HeadraceFuture[R], None, None]:
    """Yield futures as they end. Raises `TimeoutError` when some have not within `timeout` seconds."""
    from queue import Empty, SimpleQueue

    ended: SimpleQueue[HeadraceFuture[R]] = SimpleQueue()
    unique = list(dict.fromkeys(futures))
    deadline = None if timeout is None else monotonic() + timeout
    for future in unique:
        future.add_done_callback(ended.put)
    for count in range(len(unique)):
        try:
            yield _take(ended, deadline)
        except Empty:
            raise TimeoutError(f"{len(unique) - count} (of {len(unique)}) futures unfinished") from None


def _take(ended: Any, deadline: float | None) -> Any:
    left = None if deadline is None else max(0.0, deadline - monotonic())
    blocked = getattr(_waits, "blocked", None)
    if blocked is None or not ended.empty():
        return ended.get(timeout=left) if left is None or left > 0 else ended.get_nowait()
    with blocked():
        return ended.get(timeout=left) if left is None or left > 0 else ended.get_nowait()


def wait(futures: Iterable[HeadraceFuture[R]], timeout: float | None = None) -> DoneAndNotDoneFutures[R]:
    """Block until all have ended or `timeout` seconds have passed; return those that have and those that have not."""
    everything = list(futures)
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout}.")
    deadline = None if timeout is None else monotonic() + timeout
    for future in everything:
        left = None if deadline is None else max(0.0, deadline - monotonic())
        future.wait(left)
    done = {future for future in everything if future.done}
    return DoneAndNotDoneFutures(done, set(everything) - done)


def set_blocked(blocked: Callable[[], Any] | None) -> None:
    """Say how this thread tells its pool that it waits for another run, so that the pool can lend its place (see `task_runners`)."""
    _waits.blocked = blocked


def resolve_futures_to_states(expr: Any) -> Any:
    """Wait for every future in `expr`, however deep in collections, and put its state in its place. `quote(…)` is left alone."""
    return _replace(expr, lambda future: future.state)


def resolve_futures_to_results(expr: Any) -> Any:
    """Wait for every future in `expr`, however deep in collections, and put its value in its place; raises what failed."""
    return _replace(expr, lambda future: future.result(raise_on_failure=True))


def _replace(expr: Any, read: Callable[[HeadraceFuture[Any]], Any]) -> Any:
    from headrace.data.annotations import quote

    def visit(value: Any, context: dict[str, Any]) -> Any:
        if isinstance(context.get("annotation"), quote):
            from headrace.data.collections import StopVisiting

            raise StopVisiting
        if isinstance(value, HeadraceFutureList):
            return list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # its value may be of any type
        if isinstance(value, HeadraceFuture):
            value.wait()  # pyright: ignore[reportUnknownMemberType]  # its value may be of any type
            return read(value)  # pyright: ignore[reportUnknownArgumentType]  # its value may be of any type
        return value

    return visit_collection(expr, visit, return_data=True, context={})
