"""What of a block's values may be seen: which are secret, by the paths that its schema names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from headrace.model.blocks import OBFUSCATED


def obfuscate(data: Any, paths: Sequence[str]) -> Any:
    """Return `data` with the values at the dotted `paths` hidden; `*` stands for every key or index. None stays None.

    A path that ends in `*` hides every leaf below it, so that the shape of a secret dictionary can be seen.
    """
    for path in paths:
        data = _hide(data, path.split("."))
    return data


def restore(new: Any, old: Any) -> Any:
    """Return `new` with every hidden value replaced by the one at the same place of `old`: it was read, not typed."""
    if new == OBFUSCATED and old is not None:
        return old
    if isinstance(new, dict) and isinstance(old, dict):
        values, stored = cast("dict[str, Any]", new), cast("dict[str, Any]", old)
        return {key: restore(value, stored.get(key)) for key, value in values.items()}
    if isinstance(new, list) and isinstance(old, list):
        items, kept = cast("list[Any]", new), cast("list[Any]", old)
        return [restore(item, kept[index] if index < len(kept) else None) for index, item in enumerate(items)]
    return cast("Any", new)


def _hide(data: Any, path: list[str]) -> Any:
    if not path:
        return None if data is None else OBFUSCATED
    head, rest = path[0], path[1:]
    if head == "*" and not rest:
        return _hide_leaves(data)
    if isinstance(data, dict):
        values = cast("dict[str, Any]", data)
        return {key: _hide(value, rest) if head in ("*", key) else value for key, value in values.items()}
    if isinstance(data, list) and head == "*":
        return [_hide(item, rest) for item in cast("list[Any]", data)]
    return cast("Any", data)


def _hide_leaves(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _hide_leaves(value) for key, value in cast("dict[str, Any]", data).items()}
    if isinstance(data, list):
        return [_hide_leaves(item) for item in cast("list[Any]", data)]
    return None if data is None else OBFUSCATED
