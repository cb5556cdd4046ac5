"""Where the running code is: one frozen `RunContext` in one ContextVar, and the documented faces on it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client import current_run
from headrace.data import pickling
from headrace.model.errors import MissingContextError

if TYPE_CHECKING:
    from datetime import datetime

    from headrace.data.results import ResultStore
    from headrace.data.task_record import TaskRecord
    from headrace.engine.flow import Flow
    from headrace.engine.futures import HeadraceFuture
    from headrace.engine.subflows import Child
    from headrace.engine.task import Task
    from headrace.engine.task_runners.base import TaskRunner
    from headrace.model.flow_runs import FlowRun
    from headrace.model.task_runs import TaskRun


@dataclass(slots=True, eq=False, weakref_slot=True)
class FlowRunContext:
    """A flow run in progress. `parameters` are the validated values that the flow's body sees."""

    flow: Flow[Any, Any]
    flow_run: FlowRun
    parameters: dict[str, Any]
    start_time: datetime
    task_runner: TaskRunner[Any]
    log_prints: bool = False
    persist_result: bool = False
    parent: RunContext | None = None
    attempt: int = 1
    detached: bool = False
    result_store_factory: Callable[[], ResultStore] | None = None
    ordinals: dict[str, int] = field(default_factory=dict[str, int])
    submitted: list[HeadraceFuture[Any]] = field(default_factory=list["HeadraceFuture[Any]"])
    origins: dict[int, tuple[Any, str]] = field(default_factory=dict[int, tuple[Any, str]])
    children: dict[str, Child] = field(default_factory=dict[str, "Child"])
    pauses: int = 0
    _lock: Lock = field(default_factory=Lock)
    _result_store: ResultStore | None = None

    @property
    def run_id(self) -> UUID:
        """The id of the flow run."""
        return self.flow_run.id

    @property
    def logger(self) -> Any:
        """What writes to the flow run's log."""
        from headrace.engine.logs import flow_run_logger

        return flow_run_logger(self.flow_run, self.flow)

    @property
    def result_store(self) -> ResultStore | None:
        """Where this run's results go; made when first asked for."""
        if self._result_store is None and self.result_store_factory is not None:
            self._result_store = self.result_store_factory()
        return self._result_store

    def next_ordinal(self, task_key: str) -> int:
        """Count the calls of a task in this attempt: what tells its runs apart, the same again when the flow is retried."""
        with self._lock:
            number = self.ordinals.get(task_key, 0)
            self.ordinals[task_key] = number + 1
            return number

    @classmethod
    def get(cls) -> FlowRunContext | None:
        """Return the flow run that the present code belongs to, or None."""
        return _current.get().flow


@dataclass(slots=True, eq=False, weakref_slot=True)
class TaskRunContext:
    """A task run in progress. `parameters` are its resolved arguments."""

    task: Task[Any, Any]
    record: TaskRecord
    parameters: dict[str, Any]
    start_time: datetime
    log_prints: bool = False
    persist_result: bool = False
    result_store_factory: Callable[[], ResultStore] | None = None
    _result_store: ResultStore | None = None

    @property
    def run_id(self) -> UUID:
        """The id of the task run."""
        return self.record.id

    @property
    def logger(self) -> Any:
        """What writes to the task run's log."""
        from headrace.engine.logs import get_run_logger

        return get_run_logger(self)

    @property
    def task_run(self) -> TaskRun:
        """The task run as a client would read it now."""
        return self.record.model()

    @property
    def result_store(self) -> ResultStore | None:
        """Where this run's results go; made when first asked for."""
        if self._result_store is None and self.result_store_factory is not None:
            self._result_store = self.result_store_factory()
        return self._result_store

    @classmethod
    def get(cls) -> TaskRunContext | None:
        """Return the task run that the present code belongs to, or None."""
        return _current.get().task


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything that the engine knows about where it is. A child context is `dataclasses.replace` of its parent."""

    flow: FlowRunContext | None = None
    task: TaskRunContext | None = None
    tags: frozenset[str] = frozenset()


_current: ContextVar[RunContext] = ContextVar("headrace_run_context", default=RunContext())  # noqa: B039  # frozen


def current() -> RunContext:
    """Return the present context; an empty one outside runs."""
    return _current.get()


Entered = tuple[Token[RunContext], Token[current_run.Frames]]


def enter(context: RunContext) -> Entered:
    """Make `context` the present one; give what is returned to `leave`."""
    return _current.set(context), current_run.set_frames(context.flow, context.task)


def leave(entered: Entered) -> None:
    """Go back to the context before `enter`."""
    _current.reset(entered[0])
    current_run.reset(entered[1])


def get_run_context() -> FlowRunContext | TaskRunContext:
    """Return the context of the task that runs now, else of the flow. Raises `MissingContextError` outside runs."""
    here = _current.get()
    found = here.task or here.flow
    if found is None:
        raise MissingContextError("No run context is available: this is not called from within a flow or task run.")
    return found


@dataclass(frozen=True, slots=True)
class TagsContext:
    """The tags that every run created now gets in addition to its own."""

    current_tags: frozenset[str] = frozenset()

    @classmethod
    def get(cls) -> TagsContext:
        """Return the present tags; an empty set where none were given."""
        return cls(_current.get().tags)


@contextmanager
def tags(*new_tags: str) -> Generator[set[str], None, None]:
    """Add tags to every flow and task run created in the block, beside those of enclosing blocks. Yields all present tags."""
    here = _current.get()
    merged = here.tags | frozenset(new_tags)
    token = _current.set(replace(here, tags=merged))
    try:
        yield set(merged)
    finally:
        _current.reset(token)


def serialize_context() -> dict[str, Any]:
    """Return the present context as a picklable mapping, for `hydrated_context` in another thread or process."""
    from headrace.settings import get_current_settings

    here = _current.get()
    return {
        "flow_run_context": _portable_flow(here.flow) if here.flow is not None else {},
        "task_run_context": {"task": here.task.task, "record": here.task.record, "parameters": here.task.parameters} if here.task else {},
        "tags_context": {"current_tags": sorted(here.tags)},
        "settings_context": get_current_settings().to_environment_variables(exclude_unset=True),
    }


def _portable_flow(frame: FlowRunContext) -> dict[str, Any]:
    return {
        "flow": frame.flow,
        "flow_run": frame.flow_run,
        "parameters": _portable(frame),
        "start_time": frame.start_time,
        "log_prints": frame.log_prints,
        "persist_result": frame.persist_result,
        "attempt": frame.attempt,
    }


def _portable(frame: FlowRunContext) -> dict[str, Any]:
    """Return the flow's parameters, in their JSON form where they cannot be pickled: a task rarely asks for them."""
    return {name: value if _can_pickle(value) else frame.flow.serialize_parameters({name: value})[name] for name, value in frame.parameters.items()}


def _can_pickle(value: Any) -> bool:
    try:
        pickling.dumps(value)
    except Exception:  # noqa: BLE001  # pickling runs users' code
        return False
    return True


@contextmanager
def hydrated_context(serialized_context: Mapping[str, Any] | None = None) -> Generator[None, None, None]:
    """Run the block in a context made by `serialize_context`, as if it were part of those runs."""
    if not serialized_context:
        yield
        return
    flow_values = serialized_context.get("flow_run_context") or None
    task_values = serialized_context.get("task_run_context") or None
    flow = None
    if flow_values:
        runner = flow_values["flow"].task_runner.duplicate()
        flow = FlowRunContext(**flow_values, task_runner=runner, detached=True)
    task = None
    if task_values:
        task = TaskRunContext(**task_values, start_time=flow.start_time if flow else _now())
    token = enter(RunContext(flow, task, frozenset(serialized_context.get("tags_context", {}).get("current_tags", ()))))
    try:
        with flow.task_runner if flow is not None else nullcontext():
            yield
    finally:
        leave(token)


def _now() -> datetime:
    from headrace.model.clock import now

    return now()
