"""Task workers: processes that wait at a server for background task runs."""

from __future__ import annotations

from datetime import datetime

from headrace.model.base import Body, Model


class TaskWorkerFilter(Model):
    """Which task workers: those that serve at least one of `task_keys`."""

    task_keys: list[str]


class FilterTaskWorkers(Body):
    """Body of the list of task workers."""

    task_worker_filter: TaskWorkerFilter | None = None


class TaskWorkerResponse(Model):
    """A connected task worker; `timestamp` says when its server last told of it."""

    identifier: str
    task_keys: list[str]
    timestamp: datetime
