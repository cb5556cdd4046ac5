"""From method and path to what answers. Static segments win over parameters; an id that is no UUID is no route."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar
from urllib.parse import unquote
from uuid import UUID

from headrace.model import endpoints
from headrace.model.endpoints.base import Endpoint

T = TypeVar("T")

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_TEXT_IDS = frozenset({"resource_id"})
"""Parameters that are named like ids but are any text."""


def is_id(name: str) -> bool:
    """Say whether the path parameter of this name is a UUID."""
    return name == "id" or (name.endswith("_id") and name not in _TEXT_IDS)


def known_endpoints() -> Iterable[Endpoint[Any]]:
    """Return every endpoint of the table."""
    found: dict[Endpoint[Any], None] = {}
    for module in iter_modules(endpoints.__path__):
        for value in vars(import_module(f"{endpoints.__name__}.{module.name}")).values():
            if isinstance(value, Endpoint):
                found[value] = None
    return found


@dataclass(slots=True)
class _Node(Generic[T]):
    static: dict[str, _Node[T]] = field(default_factory=dict["str", "_Node[T]"])
    by_id: _Node[T] | None = None
    by_text: _Node[T] | None = None
    targets: dict[str, tuple[T, tuple[str, ...]]] = field(default_factory=dict["str", "tuple[T, tuple[str, ...]]"])


class Router(Generic[T]):
    """Finds targets by method and path."""

    def __init__(self, routes: Iterable[tuple[str, str, T]] = ()) -> None:
        self._root: _Node[T] = _Node()
        for method, path, target in routes:
            self.add(method, path, target)

    def add(self, method: str, path: str, target: T) -> None:
        """Add a route; `{name}` in `path` takes one segment, as a UUID if `is_id(name)`."""
        node = self._root
        names: list[str] = []
        for segment in path.split("/")[1:]:
            if not segment.startswith("{"):
                node = node.static.setdefault(segment, _Node())
                continue
            name = segment[1:-1]
            names.append(name)
            if is_id(name):
                node.by_id = node = node.by_id or _Node()
            else:
                node.by_text = node = node.by_text or _Node()
        node.targets[method] = (target, tuple(names))

    def find(self, method: str, path: str) -> tuple[T, dict[str, Any]] | frozenset[str]:
        """Return the target and the path's parameters, or the methods that the path has instead (none: there is no such path)."""
        segments = path.split("/")
        values: list[Any] = []
        methods: set[str] = set()
        found = self._walk(self._root, segments, 1, values, method, methods)
        if found is None:
            return frozenset(methods)
        target, names = found
        return target, dict(zip(names, values, strict=True))

    def _walk(
        self, node: _Node[T], segments: list[str], at: int, values: list[Any], method: str, methods: set[str]
    ) -> tuple[T, tuple[str, ...]] | None:
        if at == len(segments):
            methods.update(node.targets)
            return node.targets.get(method)
        segment = segments[at]
        child = node.static.get(segment)
        if child is not None:
            found = self._walk(child, segments, at + 1, values, method, methods)
            if found is not None:
                return found
        for child, value in self._parameters(node, segment):
            values.append(value)
            found = self._walk(child, segments, at + 1, values, method, methods)
            if found is not None:
                return found
            values.pop()
        return None

    def _parameters(self, node: _Node[T], segment: str) -> Iterable[tuple[_Node[T], Any]]:
        if not segment:
            return
        text = unquote(segment) if "%" in segment else segment
        if node.by_id is not None and _UUID.fullmatch(text):
            yield node.by_id, UUID(text)
        if node.by_text is not None and "\0" not in text:
            yield node.by_text, text
