"""The source that a function depends on, for the cache policy DEEP_SOURCE."""

from __future__ import annotations

import inspect
import sys
from types import CodeType, ModuleType
from typing import Any

OBJECTS_MAX = 500
"""How many functions, classes and constants are followed from one task; more than that is no longer a helper or two."""


def deep_source(fn: Any, own_source: Any) -> dict[str, Any]:
    """Return what determines a function's behaviour, by name: its source and that of what it uses within its own package."""
    found: dict[str, Any] = {"": own_source}
    waiting: list[Any] = [inspect.unwrap(fn)]
    package = _package(waiting[0])
    while waiting and len(found) < OBJECTS_MAX:
        current = waiting.pop()
        for name, value in sorted(_used_by(current).items()):
            label = f"{getattr(current, '__qualname__', '')}.{name}"
            if label in found:
                continue
            found[label] = _describe(value, package)
            inner = getattr(value, "fn", value)  # a task or flow stands for its function
            if (inspect.isfunction(inner) or inspect.isclass(inner)) and _package(inner) == package:
                waiting.append(inner)
    return found


def _package(obj: Any) -> str:
    return str(getattr(obj, "__module__", None) or "").partition(".")[0]


def _used_by(obj: Any) -> dict[str, Any]:
    """Return the globals and closure values that the code of a function, or of a class's methods, names."""
    if inspect.isclass(obj):
        used: dict[str, Any] = {}
        for member in vars(obj).values():
            if inspect.isfunction(member):
                used.update(_used_by(member))
        return used
    code: CodeType | None = getattr(obj, "__code__", None)
    if code is None:
        return {}
    everything: dict[str, Any] = obj.__globals__
    used = {name: everything[name] for name in _names(code) if name in everything}
    for name, cell in zip(code.co_freevars, obj.__closure__ or (), strict=False):
        try:
            used[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return used


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # functions and comprehensions inside
            names |= _names(constant)
    return names


def _describe(value: Any, package: str) -> Any:
    if isinstance(value, ModuleType):
        return _version_of(value.__name__)
    inner = getattr(value, "fn", value)
    if inspect.isfunction(inner) or inspect.isclass(inner):
        if _package(inner) != package:
            return _version_of(_package(inner))
        try:
            return inspect.getsource(inner)
        except (OSError, TypeError):
            return repr(getattr(getattr(inner, "__code__", None), "co_code", inner.__qualname__))
    if isinstance(value, (str, bytes, int, float, complex, bool, type(None), tuple, frozenset, list, dict, set)):
        return value  # pyright: ignore[reportUnknownVariableType]  # a user's value
    return type(value).__qualname__


def _version_of(module: str) -> str:
    top = module.partition(".")[0]
    return f"{top} {getattr(sys.modules.get(top), '__version__', '')}"
