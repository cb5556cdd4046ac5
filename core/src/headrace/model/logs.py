"""Log lines of runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from headrace.model.base import Action, Record


class Log(Record):
    """A log line. `level` is a number of the `logging` module: 10 debug, 20 info, 30 warning, 40 error, 50 critical."""

    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class LogCreate(Action):
    """A log line to store."""

    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    id: UUID | None = None


class LogSort(StrEnum):
    """The orders in which log lines are listed."""

    TIMESTAMP_ASC = "TIMESTAMP_ASC"
    TIMESTAMP_DESC = "TIMESTAMP_DESC"
