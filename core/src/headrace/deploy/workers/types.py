"""Worker types: which are installed, and their classes."""

from __future__ import annotations

from typing import Any, cast

from headrace.deploy.workers.base import BaseWorker
from headrace.deploy.workers.worker import Worker, as_base_worker
from headrace.model.errors import PluginNotInstalled
from headrace.plugin import Kind, get_registry


def worker_types() -> list[str]:
    """Return the types that are installed, sorted."""
    return sorted({*(offer.name for offer in get_registry().offers(Kind.WORKER)), *_subclasses()})


def worker_class(type: str) -> type[BaseWorker[Any, Any, Any]]:
    """Return the worker class of a type: a plugin's, or one that this process has defined.

    Raises `PluginNotInstalled` for a type that nothing offers, and other `PluginError`s for one that cannot be used.
    """
    try:
        found = get_registry().resolve(Kind.WORKER, type)
    except PluginNotInstalled:
        own = _subclasses().get(type)
        if own is None:
            raise
        return own
    if issubclass(cast("type[Any]", found), Worker):
        return as_base_worker(cast("type[Worker]", found))
    return cast("type[BaseWorker[Any, Any, Any]]", found)


def find_worker_class(type: str) -> type[BaseWorker[Any, Any, Any]] | None:
    """Return the worker class of a type, or None when nothing offers it. Raises `PluginError`s for one that cannot be used."""
    try:
        return worker_class(type)
    except PluginNotInstalled:
        return None


def default_base_job_template(type: str) -> dict[str, Any] | None:
    """Return the base job template that pools of a type begin with, or None for an unknown type."""
    found = find_worker_class(type)
    return found.get_default_base_job_template() if found is not None else None


def _subclasses() -> dict[str, type[BaseWorker[Any, Any, Any]]]:
    """Return the classes that this process has defined, by type: a user's worker needs no plugin to be found where it is imported."""
    found: dict[str, type[BaseWorker[Any, Any, Any]]] = {}
    waiting: list[Any] = [*BaseWorker.__subclasses__()]
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        kind = getattr(one, "type", None)
        if isinstance(kind, str) and not getattr(one, "__abstractmethods__", None):
            found.setdefault(kind, one)
    for simple in Worker.__subclasses__():
        if isinstance(getattr(simple, "type", None), str):
            found.setdefault(simple.type, as_base_worker(simple))
    return found
