"""The documented way to import whole packages through the entry-point group `headrace.collections`.

Offers made it unnecessary; packages that rely on being imported still can be.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Protocol

from headrace.plugin import discovery

COLLECTION_GROUP = "headrace.collections"
_logger = logging.getLogger("headrace.plugins")


class _EntryPoint(Protocol):
    @property
    def name(self) -> str: ...
    def load(self) -> Any: ...


def safe_load_entrypoints(entrypoints: Iterable[_EntryPoint]) -> dict[str, Exception | Any]:
    """Load each entry point and return name → what it loaded, or the exception that it raised.

    SystemExit and its like are kept as a RuntimeError that names them; KeyboardInterrupt passes.
    """
    results: dict[str, Exception | Any] = {}
    for entrypoint in entrypoints:
        try:
            results[entrypoint.name] = entrypoint.load()
        except KeyboardInterrupt:
            raise
        except Exception as error:  # noqa: BLE001  the border to foreign code
            results[entrypoint.name] = error
        except BaseException as error:  # noqa: BLE001
            wrapped = RuntimeError(f"Loading it raised {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            results[entrypoint.name] = wrapped
    return results


_loaded: dict[str, ModuleType | Exception] | None = None


def load_headrace_collections() -> dict[str, ModuleType | Exception]:
    """Import every package with an entry point in the group `headrace.collections`, once per process.

    Returns name → module, or the exception that importing it raised, which is also logged as a warning. Never raises for
    a package's fault.
    """
    global _loaded
    if _loaded is None:
        _loaded = safe_load_entrypoints(discovery.entry_points(COLLECTION_GROUP))
        for name, result in _loaded.items():
            if isinstance(result, Exception):
                _logger.warning("The collection %s could not be loaded: %s: %s", name, type(result).__name__, result)
    return dict(_loaded)
