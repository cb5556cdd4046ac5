"""Loggers of runs and of the machinery."""

from headrace.engine.logs import (
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
from headrace.engine.prints import patch_print, print_as_log

__all__ = [
    "HeadraceLogAdapter",
    "LogEavesdropper",
    "disable_logger",
    "disable_run_logger",
    "flow_run_logger",
    "get_logger",
    "get_run_logger",
    "get_worker_logger",
    "patch_print",
    "print_as_log",
    "task_run_logger",
]
