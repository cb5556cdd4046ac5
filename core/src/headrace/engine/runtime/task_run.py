"""The task run that the code is part of."""

from __future__ import annotations

from typing import Any

from headrace.engine.context import current
from headrace.engine.runtime.attributes import read
from headrace.settings import get_current_settings


def get_id() -> str | None:
    """Return the task run's id."""
    here = current().task
    return here.record.id_text if here is not None else None


def get_tags() -> list[str]:
    """Return the task run's tags."""
    here = current().task
    return sorted(here.record.tags) if here is not None else []


def get_run_count() -> int:
    """Return how often the task run has been started; 0 outside task runs."""
    here = current().task
    return here.record.run_count if here is not None else 0


def get_name() -> str | None:
    """Return the task run's name."""
    here = current().task
    return here.record.name if here is not None else None


def get_task_name() -> str | None:
    """Return the task's name."""
    here = current().task
    return here.task.name if here is not None else None


def get_parameters() -> dict[str, Any]:
    """Return the arguments of the task, with futures resolved."""
    here = current().task
    return dict(here.parameters) if here is not None else {}


def get_task_run_api_url() -> str | None:
    """Return the task run's address in the API; None without an API URL."""
    run_id, url = get_id(), get_current_settings().api.url
    return f"{url.rstrip('/')}/task_runs/{run_id}" if run_id and url else None


def get_task_run_ui_url() -> str | None:
    """Return the task run's address in the user interface; None without one."""
    run_id, url = get_id(), get_current_settings().ui_url
    return f"{url.rstrip('/')}/runs/task-run/{run_id}" if run_id and url else None


GETTERS = {
    "id": get_id,
    "tags": get_tags,
    "name": get_name,
    "run_count": get_run_count,
    "task_name": get_task_name,
    "parameters": get_parameters,
    "api_url": get_task_run_api_url,
    "ui_url": get_task_run_ui_url,
}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return read("task_run", name, GETTERS)


def __dir__() -> list[str]:
    return sorted([*GETTERS, *(getter.__name__ for getter in GETTERS.values())])
