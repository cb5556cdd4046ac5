"""Views of what can be had: types of workers with the base job templates that their pools begin with.

The file beside this one describes the types that are known without any plugin; an installed plugin describes its own itself.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.model.endpoints.workers import READ_COLLECTION_VIEW
from headrace.model.errors import HeadraceException, ObjectNotFound
from headrace.model.job_templates import checked_template
from headrace.operations.table import Operation
from headrace.plugin import Kind, get_registry
from headrace.plugin.offers import Offer
from headrace.store.database import Transaction

WORKER_TYPES = Path(__file__).with_name("worker_types.json")

_logger = logging.getLogger("headrace.server.collections")


def read_collection_view(tx: Transaction, *, view: str) -> dict[str, Any]:
    """Return a view by its name: package → name → description. Raises `ObjectNotFound`."""
    found = _VIEWS.get(view)
    if found is None:
        raise ObjectNotFound(f"View {view} not found in registry")
    return found()


def worker_types() -> dict[str, dict[str, Any]]:
    """Return the known types of workers by the package that brings them."""
    known: dict[str, dict[str, Any]] = json.loads(WORKER_TYPES.read_text(encoding="utf-8"))
    registry = get_registry()
    for offer in registry.offers(Kind.WORKER):
        described = _described(offer)
        if described is not None:
            package = registry.provider(Kind.WORKER, offer.name).distribution
            for types in known.values():
                types.pop(offer.name, None)
            known.setdefault(package, {})[offer.name] = {**described, "install_command": f"pip install {package}"}
    return {package: types for package, types in known.items() if types}


def _described(offer: Offer) -> dict[str, Any] | None:
    """Ask a plugin's class for its template. A plugin that cannot tell is passed over: what is known without it still holds."""
    try:
        worker: Any = get_registry().resolve(Kind.WORKER, offer.name)
        template = checked_template(worker.get_default_base_job_template())
    except HeadraceException as error:
        _logger.warning("The worker type %s is not described: %s", offer.name, error)
        return None
    except Exception as error:  # noqa: BLE001  # the border to a plugin's code
        _logger.warning("The worker type %s could not describe itself: %s: %s", offer.name, type(error).__name__, error)
        return None
    return {
        "type": offer.name,
        "display_name": getattr(worker, "_display_name", "") or offer.name.replace("-", " ").capitalize(),
        "description": _told(worker, "get_description") or offer.summary,
        "documentation_url": _told(worker, "get_documentation_url"),
        "logo_url": _told(worker, "get_logo_url"),
        "is_beta": bool(getattr(worker, "_is_beta", False)),
        "default_base_job_configuration": template,
    }


def _told(worker: Any, method: str) -> str | None:
    ask: Callable[[], str] | None = getattr(worker, method, None)
    return (ask() or None) if ask is not None else None


_VIEWS: dict[str, Callable[[], dict[str, Any]]] = {
    "aggregate-worker-metadata": worker_types,
    "aggregate-flow-metadata": dict,
    "aggregate-block-metadata": dict,
    "demo-flows": dict,
}

OPERATIONS = {READ_COLLECTION_VIEW: Operation(read_collection_view, writes=False)}
