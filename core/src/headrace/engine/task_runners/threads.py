"""Submitted tasks in threads of this process: the default."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.engine.futures import HeadraceConcurrentFuture
from headrace.engine.task_runners.base import TaskRunner
from headrace.engine.task_runners.pool import Pool
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from typing import Self

    from headrace.engine.submission import Submission
    from headrace.engine.task import Task


class ThreadPoolTaskRunner(TaskRunner[HeadraceConcurrentFuture[Any]]):
    """Runs tasks in threads.

    `max_workers`: how many run at once; default: the setting `tasks.runner.thread_pool_max_workers`, else without bound (threads are made as tasks
    wait). Tasks see the context (tags, run, settings, transaction) of the place that submitted them. An async task gets an event loop of its own.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        super().__init__()
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be 1 or more, not {max_workers}.")
        self._requested = max_workers
        self._pool: Pool | None = None
        self._is_cancelled = False

    @property
    def max_workers(self) -> int:
        """How many tasks run at once; `sys.maxsize` stands for no bound."""
        return self._limit() or sys.maxsize

    def _limit(self) -> int | None:
        limit = self._requested if self._requested is not None else get_current_settings().tasks.runner.thread_pool_max_workers
        return None if limit is None or limit >= sys.maxsize else limit

    def duplicate(self) -> Self:
        return type(self)(self._requested)

    def __enter__(self) -> Self:
        super().__enter__()
        self._pool = Pool(self._limit(), "headrace-task")
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            stopped = exc_type is not None and not issubclass(exc_type, Exception)
            if stopped:
                self._cancel_queued(pool)
            pool.close(wait=not stopped)
        super().__exit__(exc_type, exc_value, traceback)

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[Any] | None = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> HeadraceConcurrentFuture[Any]:
        self.require_started()
        pool = self._pool
        assert pool is not None
        from headrace.engine.submission import Submission

        submission = Submission(task, parameters, wait_for, dependencies)
        future: HeadraceConcurrentFuture[Any] = HeadraceConcurrentFuture(submission.record)
        context = copy_context()
        work = partial(context.run, partial(self._run, submission, future))
        pool.expect()
        submission.when_ready(partial(pool.submit, work))
        return future

    def _run(self, submission: Submission, future: HeadraceConcurrentFuture[Any]) -> None:
        if self._is_cancelled:
            submission.cancel(future)
        else:
            submission.run_here(future)

    def cancel_all(self) -> None:
        """Record every run that has not begun as Cancelled, those submitted from now on too. What runs already goes on to its end."""
        if self._pool is not None:
            self._cancel_queued(self._pool)

    def _cancel_queued(self, pool: Pool) -> None:
        self._is_cancelled = True
        pool.run_queued()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ThreadPoolTaskRunner) and self._requested == other._requested

    def __hash__(self) -> int:
        return hash((type(self), self._requested))


ConcurrentTaskRunner = ThreadPoolTaskRunner
