"""Submitted tasks in processes of this machine: for work that computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.client.recording import spool
from headrace.data import pickling
from headrace.data.task_record import TaskRecord
from headrace.engine.context import hydrated_context, serialize_context
from headrace.engine.futures import HeadraceConcurrentFuture
from headrace.engine.submission import Submission
from headrace.engine.task_runners.base import TaskRunner
from headrace.model.errors import SerializationError
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor
    from typing import Self

    from headrace.engine.task import Task


class ProcessPoolTaskRunner(TaskRunner[HeadraceConcurrentFuture[Any]]):
    """Runs tasks in new processes, started afresh (spawn), not forked.

    `max_workers`: how many at once; default: the setting `tasks.runner.process_pool_max_workers`, else the number of processors.
    `initializer(*initargs)` is called once in each process. Tasks, parameters and results travel pickled (cloudpickle); a run whose
    parameters cannot be pickled fails alone. Children record their runs and logs themselves. They take no part in the submitter's transaction.
    """

    def __init__(self, max_workers: int | None = None, initializer: Callable[..., Any] | None = None, initargs: tuple[Any, ...] = ()) -> None:
        super().__init__()
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be 1 or more, not {max_workers}.")
        self._requested = max_workers
        self._initializer = initializer
        self._initargs = initargs
        self._executor: ProcessPoolExecutor | None = None
        self._handed_over: set[Future[bytes]] = set()
        self._is_cancelled = False

    @property
    def max_workers(self) -> int:
        """How many tasks run at once."""
        setting = get_current_settings().tasks.runner.process_pool_max_workers
        return self._requested or setting or os.cpu_count() or 1

    def duplicate(self) -> Self:
        return type(self)(self._requested, self._initializer, self._initargs)

    def __exit__(self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            stopped = exc_type is not None and not issubclass(exc_type, Exception)
            executor.shutdown(wait=not stopped, cancel_futures=stopped)
        super().__exit__(exc_type, exc_value, traceback)

    def cancel_all(self) -> None:
        """Record every run that no process has taken yet as Cancelled, those submitted from now on too. What a process has goes on.

        Processes take one run more than they work on.
        """
        self._is_cancelled = True
        for running in list(self._handed_over):
            running.cancel()

    def _pool(self) -> ProcessPoolExecutor:
        if self._executor is None:
            import multiprocessing
            from concurrent.futures import ProcessPoolExecutor

            self._executor = ProcessPoolExecutor(
                self.max_workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(_dump((self._initializer, self._initargs)),),
            )
        return self._executor

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[Any] | None = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> HeadraceConcurrentFuture[Any]:
        self.require_started()
        submission = Submission(task, parameters, wait_for, dependencies)
        future: HeadraceConcurrentFuture[Any] = HeadraceConcurrentFuture(submission.record)
        context = serialize_context()
        submission.when_ready(partial(self._start, submission, future, context))
        return future

    def _start(self, submission: Submission, future: HeadraceConcurrentFuture[Any], context: dict[str, Any]) -> None:
        if self._is_cancelled:
            submission.cancel(future)
            return
        try:
            if not submission.resolve():
                future.finish()
                return
            call = submission.call
            payload = _dump((call.task, call.record, call.parameters, context))
            running = self._pool().submit(_run_in_child, payload)
        except Exception as error:  # noqa: BLE001  # this run's border: it fails alone, whatever is wrong with its parameters
            _end(submission.record, future, "FAILED", "Failed", error)
            return
        self._handed_over.add(running)
        running.add_done_callback(self._handed_over.discard)
        running.add_done_callback(partial(_take_over, submission, future))


def _dump(value: Any) -> bytes:
    try:
        return pickling.dumps(value)
    except Exception as error:
        raise SerializationError(
            f"This run's task or parameters cannot be pickled to be sent to another process: {type(error).__name__}: {error}. "
            "Pass data that can be pickled, or use ThreadPoolTaskRunner."
        ) from error


def _end(record: TaskRecord, future: HeadraceConcurrentFuture[Any], kind: str, name: str, error: BaseException) -> None:
    record.enter(kind, name, f"{type(error).__name__}: {error}", data=error)
    spool().close_record(record)
    future.finish()


def _take_over(submission: Submission, future: HeadraceConcurrentFuture[Any], running: Future[bytes]) -> None:
    """Put what the child kept of the run into the future. A child that died takes its run with it, and only that."""
    if running.cancelled():
        submission.cancel(future)
        return
    record = submission.record
    try:
        finished: TaskRecord = pickling.loads(running.result())  # made by our own child
    except BaseException as error:  # noqa: BLE001  # a broken pool, or a result that cannot be read here
        _end(record, future, "CRASHED", "Crashed", error)
        return
    spool().forget(record)
    future.replace_record(finished)
    future.finish()


# --- in the child -------------------------------------------------------------------------------------------------------


def _begin(initializer: bytes) -> None:
    function, arguments = pickling.loads(initializer)  # made by our own parent
    if function is not None:
        function(*arguments)


def _run_in_child(payload: bytes) -> bytes:
    from headrace.engine import logs
    from headrace.engine.task_run import TaskCall, run_submitted
    from headrace.settings import temporary_settings

    task, record, parameters, context = pickling.loads(payload)  # made by our own parent
    with temporary_settings(context["settings_context"]):
        logs.setup()
        with hydrated_context(context):
            call = TaskCall.taken_over(task, parameters, record)
            run_submitted(call)
        spool().flush()
    return _dump(_sendable(record))


def _sendable(record: TaskRecord) -> TaskRecord:
    """Return the record, its value replaced by an error if it cannot be sent back."""
    try:
        _dump(record.data)
    except SerializationError as error:
        record.enter("FAILED", "Failed", f"The task's result cannot be sent back to the flow. {error}", data=error)
        spool().close_record(record)
    return record
