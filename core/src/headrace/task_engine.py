"""Front desk: running tasks directly."""

from headrace.engine.direct import run_generator_task_async, run_generator_task_sync, run_task, run_task_async, run_task_sync
from headrace.model.errors import TaskRunTimeoutError

__all__ = [
    "TaskRunTimeoutError",
    "run_generator_task_async",
    "run_generator_task_sync",
    "run_task",
    "run_task_async",
    "run_task_sync",
]
