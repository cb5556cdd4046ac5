"""The task run that the code is part of: `task_run.id`, `task_run.name`, …"""

from headrace.engine.runtime.task_run import (
    __dir__,
    __getattr__,
    get_id,
    get_name,
    get_parameters,
    get_run_count,
    get_tags,
    get_task_name,
    get_task_run_api_url,
    get_task_run_ui_url,
)

__all__ = [
    "__dir__",
    "__getattr__",
    "get_id",
    "get_name",
    "get_parameters",
    "get_run_count",
    "get_tags",
    "get_task_name",
    "get_task_run_api_url",
    "get_task_run_ui_url",
]
