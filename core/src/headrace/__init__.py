"""headrace: brings Python flows to where they do their work. Names are loaded when they are used; importing this does nothing."""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

_NAMES = {
    "Flow": "headrace.flows",
    "Runner": "headrace.runner",
    "State": "headrace.states",
    "Task": "headrace.tasks",
    "Transaction": "headrace.transactions",
    "allow_failure": "headrace.utilities.annotations",
    "apause_flow_run": "headrace.flow_runs",
    "aresume_flow_run": "headrace.flow_runs",
    "aserve": "headrace.flows",
    "asuspend_flow_run": "headrace.flow_runs",
    "deploy": "headrace.deployments.runner",
    "flow": "headrace.flows",
    "get_client": "headrace.client.orchestration",
    "get_run_logger": "headrace.logging",
    "pause_flow_run": "headrace.flow_runs",
    "resume_flow_run": "headrace.flow_runs",
    "serve": "headrace.flows",
    "suspend_flow_run": "headrace.flow_runs",
    "tags": "headrace.context",
    "task": "headrace.tasks",
    "unmapped": "headrace.utilities.annotations",
}

_MODULES = frozenset(
    "artifacts assets blocks cache_policies client concurrency context deployments docker engine events exceptions filesystems flow_engine flow_runs "
    "flows futures input locking logging plugins results runner runtime schedules serializers settings states task_engine task_runners task_worker "
    "tasks testing transactions types utilities variables workers".split()
)
"""Documented modules, which `headrace.runtime.flow_run.id` and its like find without an import of their own."""

__all__ = ["__version__", *sorted(_NAMES)]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]  # made of the table; the stub names them


def __getattr__(name: str) -> object:
    module = _NAMES.get(name)
    if module is not None:
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})
