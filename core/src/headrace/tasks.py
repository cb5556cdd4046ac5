"""Front desk: tasks."""

from headrace.engine.task import Task, exponential_backoff, task

__all__ = ["Task", "exponential_backoff", "task"]
