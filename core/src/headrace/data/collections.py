"""Walking through and reshaping collections, however nested. No pydantic is imported here unless the caller's values brought it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum, auto
from itertools import islice
from typing import Any, TypeVar, cast, overload

from headrace.data.annotations import BaseAnnotation

T = TypeVar("T")
KT = TypeVar("KT")
HashableT = TypeVar("HashableT", bound=Hashable)

_LEAVES = (str, bytes, bytearray, int, float, complex, bool, type(None))
_MISSING = object()


class AutoEnum(StrEnum):
    """An enumeration whose values are its names: `RED = AutoEnum.auto()` has the value "RED"."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[Any]) -> str:
        return name

    @staticmethod
    def auto() -> Any:
        """Return `enum.auto()`, to spare an import."""
        return auto()

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.value}"


class StopVisiting(BaseException):
    """Raised by a visitor: do not look inside. The expression stays as it is, or becomes the exception's argument where there is one."""


# --- visiting ------------------------------------------------------------------------------------------------------


def visit_collection(
    expr: Any,
    visit_fn: Callable[..., Any],
    *,
    return_data: bool = False,
    max_depth: int = -1,
    context: dict[str, Any] | None = None,
    remove_annotations: bool = False,
) -> Any:
    """Call `visit_fn` for `expr` and everything inside it; return the changed expression if `return_data`, else None.

    Looks into lists, tuples, sets, dictionaries (keys too), dataclasses, pydantic models and annotations; never consumes
    generators. The visitor sees a collection before its members, and what it returns is what is looked into. A collection is
    copied only if something in it changed. `max_depth` counts levels below `expr` (0: only `expr`; negative: no limit). With a
    `context`, the visitor is called as `visit_fn(value, context)`: a copy of the dictionary for each level, in which
    `context["annotation"]` is the annotation just entered. `remove_annotations` puts contents in the place of annotations.
    A collection that contains itself is visited once.
    """
    visitor = _Visitor(visit_fn, return_data, context is not None, remove_annotations)
    result = visitor.visit(expr, max_depth, {} if context is None else context)
    return result if return_data else None


class _Visitor:
    __slots__ = ("fn", "keep", "open", "unwrap", "with_context")

    def __init__(self, fn: Callable[..., Any], keep: bool, with_context: bool, unwrap: bool) -> None:
        self.fn = fn
        self.keep = keep
        self.with_context = with_context
        self.unwrap = unwrap
        self.open: set[int] = set()  # ids of the collections that we are inside of

    def visit(self, expr: Any, depth: int, context: dict[str, Any]) -> Any:
        try:
            seen = self.fn(expr, context) if self.with_context else self.fn(expr)
        except StopVisiting as stop:
            return stop.args[0] if stop.args else expr
        if self.keep:
            expr = seen
        if depth == 0 or isinstance(expr, (_LEAVES, type)) or id(expr) in self.open:
            return expr
        self.open.add(id(expr))
        try:
            return self._inside(expr, depth - 1, dict(context) if self.with_context else context)
        finally:
            self.open.discard(id(expr))

    def _inside(self, expr: Any, depth: int, context: dict[str, Any]) -> Any:
        if isinstance(expr, BaseAnnotation):
            if self.with_context:
                context["annotation"] = expr
            inner = self.visit(expr.unwrap(), depth, context)  # pyright: ignore[reportUnknownMemberType]  # a user's value
            if self.unwrap:
                return inner
            return expr if inner is expr.unwrap() else expr.rewrap(inner)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # a user's value
        if isinstance(expr, (list, tuple, set, frozenset)):
            return self._items(cast("Collection[Any]", expr), depth, context)
        if isinstance(expr, Mapping):
            return self._mapping(cast("Mapping[Any, Any]", expr), depth, context)
        if is_dataclass(expr):
            return self._dataclass(expr, depth, context)
        if _is_model(expr):
            return self._model(expr, depth, context)
        return expr

    def _items(self, expr: Collection[Any], depth: int, context: dict[str, Any]) -> Any:
        before = list(expr)
        after = [self.visit(item, depth, context) for item in before]
        if not self.keep or all(a is b for a, b in zip(after, before, strict=True)):
            return expr
        if isinstance(expr, tuple) and hasattr(expr, "_fields"):  # a named tuple takes its values one by one
            return type(expr)(*after)
        return type(expr)(after)  # type: ignore[call-arg]  # list, tuple, set or frozenset: all are made from an iterable

    def _mapping(self, expr: Mapping[Any, Any], depth: int, context: dict[str, Any]) -> Any:
        changed = False
        after: list[tuple[Any, Any]] = []
        for key, value in list(expr.items()):
            new_key, new_value = self.visit(key, depth, context), self.visit(value, depth, context)
            changed = changed or new_key is not key or new_value is not value
            after.append((new_key, new_value))
        if not self.keep or not changed:
            return expr
        factory = getattr(expr, "default_factory", _MISSING)
        if factory is not _MISSING:
            return type(expr)(factory, after)  # type: ignore[call-arg]  # a defaultdict
        return type(expr)(after)  # type: ignore[call-arg]  # a mapping is made from pairs

    def _dataclass(self, expr: Any, depth: int, context: dict[str, Any]) -> Any:
        changes: dict[str, Any] = {}
        for field in fields(expr):
            value = getattr(expr, field.name, _MISSING)
            if value is _MISSING:
                continue
            after = self.visit(value, depth, context)
            if after is not value:
                changes[field.name] = after
        if not self.keep or not changes:
            return expr
        return _copy_with(expr, changes)

    def _model(self, expr: Any, depth: int, context: dict[str, Any]) -> Any:
        names: list[str] = [*expr.__pydantic_fields__, *(expr.model_extra or ())]
        changes: dict[str, Any] = {}
        for name in names:
            value = getattr(expr, name, _MISSING)
            if value is _MISSING:
                continue
            after = self.visit(value, depth, context)
            if after is not value:
                changes[name] = after
        if not self.keep or not changes:
            return expr
        return expr.model_copy(update=changes)


def _copy_with(expr: Any, changes: dict[str, Any]) -> Any:
    """Copy a dataclass without running its `__init__`, which may take other arguments or refuse what a future became."""
    import copy

    clone = copy.copy(expr)
    for name, value in changes.items():
        object.__setattr__(clone, name, value)
    return clone


def _is_model(expr: Any) -> bool:
    pydantic = sys.modules.get("pydantic")  # without it in memory, no value can be a model
    return pydantic is not None and isinstance(expr, pydantic.BaseModel)


# --- iterables -------------------------------------------------------------------------------------------------------


def isiterable(obj: Any) -> bool:
    """Say whether `obj` can be iterated, not counting what is rather one thing: text, bytes and open files."""
    from io import IOBase

    try:
        iter(obj)
    except TypeError:
        return False
    return not isinstance(obj, (str, bytes, IOBase))


def ensure_iterable(obj: T | Iterable[T]) -> Collection[T]:
    """Return `obj` if it is iterable (text is not), else a list of it alone."""
    return cast("Collection[T]", obj) if isiterable(obj) else [cast("T", obj)]


def listrepr(objs: Iterable[Any], sep: str = " ") -> str:
    """Return the `repr` of every object, joined by `sep`."""
    return sep.join(repr(obj) for obj in objs)


def distinct(iterable: Iterable[T], key: Callable[[T], Hashable] | None = None) -> Iterator[T]:
    """Yield the first of all that are equal (or whose `key` is), in order."""
    seen: set[Any] = set()
    for item in iterable:
        mark = item if key is None else key(item)
        if mark not in seen:
            seen.add(mark)
            yield item


def batched_iterable(iterable: Iterable[T], size: int) -> Generator[tuple[T, ...], None, None]:
    """Yield tuples of `size` items, the last one shorter. Raises `ValueError` for a size below 1."""
    if size < 1:
        raise ValueError(f"A batch holds 1 item or more, not {size}.")
    rest = iter(iterable)
    while batch := tuple(islice(rest, size)):
        yield batch


@overload
def extract_instances(objects: Iterable[Any], types: type[T]) -> list[T]: ...
@overload
def extract_instances(objects: Iterable[Any], types: tuple[type[T], ...]) -> dict[type[T], list[T]]: ...
def extract_instances(objects: Iterable[Any], types: Any = object) -> Any:
    """Return the objects of one type as a list, or of several types as a mapping type → list."""
    everything = list(objects)
    if isinstance(types, tuple):
        chosen = cast("tuple[type[Any], ...]", types)
        found = {kind: [obj for obj in everything if isinstance(obj, kind)] for kind in chosen}
        return {kind: items for kind, items in found.items() if items}
    return [obj for obj in everything if isinstance(obj, types)]


# --- nested dictionaries ------------------------------------------------------------------------------------------------


def dict_to_flatdict(dct: Mapping[Any, Any]) -> dict[tuple[Any, ...], Any]:
    """Turn nested dictionaries into one whose keys are tuples of keys: `{"a": {"b": 1}}` → `{("a", "b"): 1}`."""
    flat: dict[tuple[Any, ...], Any] = {}

    def walk(level: Mapping[Any, Any], path: tuple[Any, ...]) -> None:
        for key, value in level.items():
            if isinstance(value, dict) and value:
                walk(cast("dict[Any, Any]", value), (*path, key))
            else:
                flat[(*path, key)] = value

    walk(dct, ())
    return flat


def flatdict_to_dict(dct: Mapping[tuple[Any, ...], Any]) -> dict[Any, Any]:
    """Undo `dict_to_flatdict`."""
    nested: dict[Any, Any] = {}
    for path, value in dct.items():
        level = nested
        for key in path[:-1]:
            level = level.setdefault(key, {})
        level[path[-1]] = value
    return nested


def remove_nested_keys(keys_to_remove: Collection[Hashable], obj: Any) -> Any:
    """Return `obj` without the given keys at any depth; what is no dictionary is returned as it is."""
    if not isinstance(obj, dict):
        return obj
    level = cast("dict[Any, Any]", obj)
    return {key: remove_nested_keys(keys_to_remove, value) for key, value in level.items() if key not in keys_to_remove}


def _path(keys: str | Iterable[Any]) -> list[Any]:
    if not isinstance(keys, str):
        return list(keys)
    return [int(part) if part.lstrip("-").isdigit() else part for part in keys.replace("[", ".").replace("]", "").split(".") if part]


def get_from_dict(dct: Any, keys: str | list[Any], default: Any = None) -> Any:
    """Follow a path such as "a.b[1]" or `["a", "b", 1]` into nested dictionaries and lists; return `default` where it ends early."""
    level = dct
    for key in _path(keys):
        try:
            try:
                level = level[key]
            except (KeyError, TypeError):
                level = level[str(key) if isinstance(key, int) else int(key)]
        except (KeyError, IndexError, TypeError, ValueError):
            return default
    return level


def set_in_dict(dct: dict[Any, Any], keys: str | list[str], value: Any) -> None:
    """Set the value at a path such as "a.b.c", making dictionaries on the way.

    Raises `KeyError` when something on the way is there and is not a dictionary.
    """
    path = keys.split(".") if isinstance(keys, str) else list(keys)
    level: dict[Any, Any] = dct
    for key in path[:-1]:
        below: Any = level.setdefault(key, {})
        if not isinstance(below, dict):
            raise KeyError(f"Key path exists and contains a non-dict value: {'.'.join(path)!r} stops at {key!r}.")
        level = cast("dict[Any, Any]", below)
    level[path[-1]] = value


def deep_merge(dct: Mapping[Any, Any], merge: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a new dictionary of both; `merge` wins, and dictionaries on both sides are merged in turn."""
    result = dict(dct)
    for key, value in merge.items():
        ours = result.get(key)
        if isinstance(ours, dict) and isinstance(value, dict):
            result[key] = deep_merge(cast("dict[Any, Any]", ours), cast("dict[Any, Any]", value))
        else:
            result[key] = value
    return result


def deep_merge_dicts(*dicts: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a new dictionary of all; later ones win."""
    result: dict[Any, Any] = {}
    for each in dicts:
        result = deep_merge(result, each)
    return result
