"""Looking for modules without importing them or the packages around them."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def spec_of(name: str) -> ModuleSpec | None:
    """Return the spec of a module by its dotted name, importing nothing, or None when there is no such module."""
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if isinstance(loaded, ModuleSpec):
        return loaded
    top, *rest = name.split(".")
    spec = _top_spec(top)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last part alone: a namespace package within another would look for that one in sys.modules, where it is not.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def is_available(name: str) -> bool:
    """Return whether a module is installed."""
    return spec_of(name) is not None


def source_of(name: str) -> str | None:
    """Return the source text of a module, or None when it has none that can be read."""
    spec = spec_of(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        return Path(spec.origin).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _top_spec(name: str) -> ModuleSpec | None:
    for finder in sys.meta_path:  # editable installs may add finders of their own
        find = getattr(finder, "find_spec", None)
        spec = find(name, None) if find else None
        if isinstance(spec, ModuleSpec):
            return spec
    return None
