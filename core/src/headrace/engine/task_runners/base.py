"""What a task runner is. Plugins offer others by subclassing `TaskRunner`."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from headrace.engine.futures import HeadraceFuture, HeadraceFutureList

if TYPE_CHECKING:
    from typing import Self

    from headrace.engine.task import Task

F = TypeVar("F", bound=HeadraceFuture[Any])


class TaskRunner(abc.ABC, Generic[F]):
    """Runs the tasks that a flow submits. The flow enters a `duplicate()` of its runner for each attempt and leaves it at the end.

    A subclass implements `duplicate` and `submit`, and overrides `__enter__`/`__exit__` (calling these) to hold its resources.
    """

    def __init__(self) -> None:
        self._started = False

    @property
    def name(self) -> str:
        """The runner's name: its class in lower case, without `TaskRunner`."""
        return type(self).__name__.lower().replace("taskrunner", "")

    @abc.abstractmethod
    def duplicate(self) -> Self:
        """Return a new, unstarted runner with the same options."""

    @abc.abstractmethod
    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[Any] | None = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> F:
        """Start a run of `task` with `parameters` and return at once. `wait_for`: runs that must complete first."""

    def map(self, task: Task[..., Any], parameters: dict[str, Any], wait_for: Iterable[Any] | None = None) -> HeadraceFutureList[Any]:
        """Submit one run for each element of the iterable parameters; see `Task.map`."""
        from headrace.engine.mapping import expand

        return HeadraceFutureList(self.submit(task, one, wait_for) for one in expand(task, parameters))

    def cancel_all(self) -> None:
        """Record every run that has not begun as Cancelled; asked for when the flow's time is over. A runner that cannot tell does nothing."""

    def require_started(self) -> None:
        """Raise `RuntimeError` unless the runner was entered."""
        if not self._started:
            raise RuntimeError(f"The task runner {self.name!r} is not started. Use it as a context manager, or submit from within a flow.")

    def __enter__(self) -> Self:
        if self._started:
            raise RuntimeError(f"The task runner {self.name!r} is already started. Enter a duplicate() of it.")
        self._started = True
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None) -> None:
        self._started = False
