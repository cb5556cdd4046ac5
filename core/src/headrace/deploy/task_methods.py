"""What tasks can do with a server: run in the background, and be served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from headrace.deploy.background import submit_in_background
from headrace.engine.dependencies import listed

if TYPE_CHECKING:
    from headrace.deploy.background_futures import HeadraceDistributedFuture
    from headrace.engine.task import Task


class TaskMethods:
    """Methods of `Task`."""

    def apply_async(
        self,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        wait_for: Iterable[Any] | None = None,
        dependencies: Mapping[str, Iterable[Any]] | None = None,
    ) -> HeadraceDistributedFuture[Any]:
        """Have a task worker run this task, and return the future of its run at once. Works inside and outside flows.

        `wait_for`: runs that must have completed before it begins. `dependencies`: runs that arguments came from, by parameter, where these are no
        futures. Arguments must be such as can be pickled. The result is kept, so that `future.result()` can be read here.

        Raises `ConfigurationError` without a server, `SerializationError` for arguments that cannot travel.
        """
        task = cast("Task[..., Any]", self)
        return submit_in_background(task, task.bind(args or (), kwargs or {}), listed(wait_for), dependencies)

    def delay(self, *args: Any, **kwargs: Any) -> HeadraceDistributedFuture[Any]:
        """Have a task worker run this task with these arguments: `apply_async(args, kwargs)`."""
        return self.apply_async(args, kwargs)

    def serve(self, limit: int | None = 10, status_server_port: int | None = None, timeout: float | None = None) -> Any:
        """Run a task worker for this task until the process is told to stop; see `headrace.task_worker.serve`."""
        from headrace.deploy.task_worker import serve

        return serve(cast("Task[..., Any]", self), limit=limit, status_server_port=status_server_port, timeout=timeout)
