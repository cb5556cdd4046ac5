"""Loggers for users and for the machinery: adapters that tell which run a record belongs to."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, MutableMapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.engine.context import FlowRunContext, TaskRunContext, current
from headrace.logs.config import setup
from headrace.logs.names import FLOW_RUNS_NAME, ROOT_NAME, TASK_RUNS_NAME, UNKNOWN
from headrace.model.errors import MissingContextError

if TYPE_CHECKING:
    from typing import Self
    from uuid import UUID

    from headrace.engine.flow import Flow
    from headrace.engine.task import Task
    from headrace.model.flow_runs import FlowRun
    from headrace.model.task_runs import TaskRun


class HeadraceLogAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry fields of a run. `extra` given with a record wins over the adapter's own."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs

    def getChild(self, suffix: str, extra: Mapping[str, Any] | None = None) -> HeadraceLogAdapter:
        """Return an adapter of the logger's child `suffix`, with this one's fields and those of `extra`."""
        return HeadraceLogAdapter(self.logger.getChild(suffix), {**(self.extra or {}), **(extra or {})})


def get_logger(name: str | None = None) -> logging.Logger:
    """Return the logger `headrace`, or its child `name` (with or without the prefix). For code outside runs."""
    if name is None or name == ROOT_NAME:
        return logging.getLogger(ROOT_NAME)
    return logging.getLogger(name if name.startswith(f"{ROOT_NAME}.") else f"{ROOT_NAME}.{name}")


def get_run_logger(context: FlowRunContext | TaskRunContext | None = None, **extra: Any) -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """Return a logger of the run that the present code belongs to: of the task run if there is one, else of the flow run.

    `extra` is attached to every record. Raises `MissingContextError` outside runs, unless run loggers are disabled
    (`disable_run_logger`), and `TypeError` when `context` is not the context of a run.
    """
    setup()
    here = current()
    found = context if context is not None else here.task or here.flow
    if isinstance(found, TaskRunContext):
        return _task_context_logger(found, here.flow, extra)
    if isinstance(found, FlowRunContext):
        return flow_run_logger(found.flow_run, found.flow, **extra)
    if found is not None:
        raise TypeError(f"get_run_logger was given a context of type {type(found).__name__!r}; it needs a FlowRunContext or a TaskRunContext.")
    if logging.getLogger(FLOW_RUNS_NAME).disabled and logging.getLogger(TASK_RUNS_NAME).disabled:
        silent = logging.getLogger("null")
        silent.disabled = True
        return silent
    raise MissingContextError(
        "There is no active flow or task run, so there is no run to log to. Call get_run_logger() inside a flow or a task, "
        "use logging.getLogger() elsewhere, or wrap a test in disable_run_logger()."
    )


def _task_context_logger(found: TaskRunContext, flow: FlowRunContext | None, extra: dict[str, Any]) -> HeadraceLogAdapter:
    flow_run_id = found.record.flow_run_id
    fields = {
        "task_run_id": found.record.id_text,
        "flow_run_id": str(flow_run_id) if flow_run_id is not None else None,
        "task_run_name": found.record.name,
        "task_name": found.task.name,
        "flow_run_name": flow.flow_run.name if flow is not None else UNKNOWN,
        "flow_name": flow.flow.name if flow is not None else UNKNOWN,
    }
    return HeadraceLogAdapter(logging.getLogger(TASK_RUNS_NAME), {**fields, **extra})


def flow_run_logger(
    flow_run: FlowRun | None = None, flow: Flow[Any, Any] | None = None, flow_run_id: UUID | None = None, **extra: Any
) -> HeadraceLogAdapter:
    """Return a logger of a flow run, given as an object or by its id alone (its name is then "<unknown>").

    Raises `ValueError` when neither is given.
    """
    setup()
    if flow_run is None and flow_run_id is None:
        raise ValueError("flow_run_logger needs a flow run: give flow_run or flow_run_id.")
    fields = {
        "flow_run_id": str(flow_run.id if flow_run is not None else flow_run_id),
        "flow_run_name": flow_run.name if flow_run is not None else UNKNOWN,
        "flow_name": flow.name if flow is not None else UNKNOWN,
    }
    return HeadraceLogAdapter(logging.getLogger(FLOW_RUNS_NAME), {**fields, **extra})


def task_run_logger(
    task_run: TaskRun,
    task: Task[Any, Any] | None = None,
    flow_run: FlowRun | None = None,
    flow: Flow[Any, Any] | None = None,
    **extra: Any,
) -> HeadraceLogAdapter:
    """Return a logger of a task run. What is not given about its flow is taken from the flow run in progress, if there is one."""
    setup()
    here = current().flow
    flow_run = flow_run or (here.flow_run if here is not None else None)
    flow = flow or (here.flow if here is not None else None)
    fields = {
        "task_run_id": str(task_run.id),
        "flow_run_id": str(task_run.flow_run_id) if task_run.flow_run_id is not None else None,
        "task_run_name": task_run.name,
        "task_name": task.name if task is not None else UNKNOWN,
        "flow_run_name": flow_run.name if flow_run is not None else UNKNOWN,
        "flow_name": flow.name if flow is not None else UNKNOWN,
    }
    return HeadraceLogAdapter(logging.getLogger(TASK_RUNS_NAME), {**fields, **extra})


def get_worker_logger(worker: Any, name: str | None = None) -> logging.Logger | HeadraceLogAdapter:
    """Return a logger of a worker: `headrace.worker.<type>.<name>` in lower case, or `name`.

    A worker that has a `backend_id` gets an adapter whose records carry `worker_name`, `work_pool_name` and `worker_id`.
    """
    setup()
    logger = get_logger(name or f"worker.{worker.type}.{worker.name.lower()}")
    backend_id = getattr(worker, "backend_id", None)
    if not backend_id:
        return logger
    pool = getattr(worker, "_work_pool_name", None) or UNKNOWN
    return HeadraceLogAdapter(logger, {"worker_name": worker.name, "work_pool_name": pool, "worker_id": str(backend_id)})


@contextmanager
def disable_logger(name: str) -> Generator[None, None, None]:
    """Silence the logger `name` while the block runs."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def disable_run_logger() -> Generator[None, None, None]:
    """Silence the loggers of runs while the block runs, so that functions which use `get_run_logger` can be called in tests."""
    with disable_logger(FLOW_RUNS_NAME), disable_logger(TASK_RUNS_NAME):
        yield


class LogEavesdropper(logging.Handler):
    """Collect what a logger and its children log while the block runs.

    with LogEavesdropper("my_library") as heard:
        ...
    print(heard.text())
    """

    def __init__(self, logger_name: str, level: int | str = logging.NOTSET) -> None:
        """Listen to `logger_name` for records of at least `level`."""
        super().__init__(level)
        self._logger = logging.getLogger(logger_name)
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; called by `logging`."""
        self._lines.append(self.format(record))

    def text(self) -> str:
        """Return what was heard, a record a line."""
        return "\n".join(self._lines)
