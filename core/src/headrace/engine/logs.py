"""The logs of runs: the one door of the engine to logging. Configuration, handlers and loggers live in `log_*.py`."""

from __future__ import annotations

from headrace.engine.log_loggers import (
    HeadraceLogAdapter,
    LogEavesdropper,
    disable_logger,
    disable_run_logger,
    flow_run_logger,
    get_logger,
    get_run_logger,
    get_worker_logger,
    task_run_logger,
)
from headrace.engine.log_records import flow_log, task_log
from headrace.logs.config import setup

__all__ = [
    "HeadraceLogAdapter",
    "LogEavesdropper",
    "disable_logger",
    "disable_run_logger",
    "flow_log",
    "flow_run_logger",
    "get_logger",
    "get_run_logger",
    "get_worker_logger",
    "setup",
    "task_log",
    "task_run_logger",
]
