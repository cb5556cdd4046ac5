"""Front desk: tasks. What needs more than the engine is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.engine.task import Task, exponential_backoff, task

if TYPE_CHECKING:
    from headrace.data.caching import task_input_hash
    from headrace.deploy.task_methods import TaskMethods
    from headrace.engine.materialize import MaterializingTask
    from headrace.engine.task_options import TaskOptions

__all__ = ["MaterializingTask", "Task", "TaskMethods", "TaskOptions", "exponential_backoff", "task", "task_input_hash"]


def __getattr__(name: str) -> Any:
    if name == "task_input_hash":
        from headrace.data.caching import task_input_hash as found
    elif name == "TaskMethods":
        from headrace.deploy.task_methods import TaskMethods as found
    elif name == "MaterializingTask":
        from headrace.engine.materialize import MaterializingTask as found
    elif name == "TaskOptions":
        from headrace.engine.task_options import TaskOptions as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
