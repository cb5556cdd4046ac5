"""Task workers."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.task_workers import FilterTaskWorkers, TaskWorkerResponse

FILTER_TASK_WORKERS: Endpoint[list[TaskWorkerResponse]] = Endpoint(
    "POST", "/task_workers/filter", "task_workers", FilterTaskWorkers, list[TaskWorkerResponse]
)
"""Lists the task workers that are connected to any server."""
