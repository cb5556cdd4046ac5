"""Helpers for nested collections and JSON Patch documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def hash_collection(collection: Any) -> int:
    """Return a hash of nested dictionaries, lists, tuples, sets and hashable values. Equal collections have one hash, in any order of keys."""
    return hash(_frozen(collection))


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return frozenset((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, set | frozenset):
        return frozenset(_frozen(item) for item in value)
    return value


def ensure_path_exists(doc: dict[str, Any] | list[Any], path: list[str]) -> None:
    """Make what a path of keys and indexes leads through, within `doc`: dictionaries, and lists where the next part is a number."""
    if not path:
        return
    part, rest = path[0], path[1:]
    made: Any = [] if rest and rest[0].isdigit() else {}
    if isinstance(doc, dict):
        following = doc.setdefault(part, made)
    else:
        index = int(part) if part.isdigit() else len(doc)  # "-" is the place behind the last (RFC 6901, section 4)
        doc.extend({} for _ in range(len(doc), index))
        if index == len(doc):
            doc.append(made)
        following = doc[index]
    if isinstance(following, dict | list):
        ensure_path_exists(following, rest)


def assemble_document_for_patches(patches: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a document to which JSON Patch operations can be applied: with all that they replace or remove, and all that they add to.

    Example:
        ```python
        patches = [{"op": "replace", "path": "/name", "value": "Jane"}, {"op": "add", "path": "/contact/address", "value": "1 Main St"}]
        assemble_document_for_patches(patches)  # {"name": {}, "contact": {}}
        ```
    """
    document: dict[str, Any] = {}
    for patch in patches:
        path = [part.replace("~1", "/").replace("~0", "~") for part in patch["path"].lstrip("/").split("/")]
        ensure_path_exists(document, path[:-1] if patch["op"] == "add" else path)
    return document
