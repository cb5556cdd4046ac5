"""Placeholders `{{ name }}` in project files, steps and job templates, and what they stand for. There are no expressions."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.data.annotations import NotSet
from headrace.data.collections import get_from_dict
from headrace.model.errors import ObjectNotFound, near

if TYPE_CHECKING:
    from headrace.client.interface import Client

T = TypeVar("T")
Missing = type[NotSet]

DEPTH_MAX = 100
"""How deep a template may be nested. One that holds itself, as YAML can say it, is deeper than that."""

BLOCK_PREFIXES = ("prefect.blocks.", "headrace.blocks.")
VARIABLE_PREFIXES = ("prefect.variables.", "headrace.variables.")
RUN_TIME_PREFIXES = ("ctx.",)
"""What only the worker of a run knows."""

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")


class PlaceholderType(Enum):
    """Where the value of a placeholder comes from."""

    STANDARD = "standard"
    BLOCK_DOCUMENT = "block_document"
    VARIABLE = "variable"
    ENV_VAR = "env_var"


class Placeholder(NamedTuple):
    """A placeholder as it stands in a text, and what it names."""

    full_match: str
    name: str
    type: PlaceholderType


def determine_placeholder_type(name: str) -> PlaceholderType:
    """Say what a placeholder's name refers to: a stored block, a stored variable, the environment (`$NAME`), or a given value."""
    if name.startswith(BLOCK_PREFIXES):
        return PlaceholderType.BLOCK_DOCUMENT
    if name.startswith(VARIABLE_PREFIXES):
        return PlaceholderType.VARIABLE
    return PlaceholderType.ENV_VAR if name.startswith("$") else PlaceholderType.STANDARD


def find_placeholders(template: Any) -> set[Placeholder]:
    """Return the placeholders in the texts of `template`, at any depth. Raises `ValueError` for a template that holds itself."""
    return {one for text in _texts(template, 0) for one in _placeholders_in(text)}


def _placeholders_in(text: str) -> list[Placeholder]:
    return [Placeholder(found[0], found[1], determine_placeholder_type(found[1])) for found in _PLACEHOLDER.finditer(text)]


def _texts(template: Any, depth: int) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, dict | list):
        _check_depth(depth)
        items: Iterable[Any] = cast("dict[str, Any]", template).values() if isinstance(template, dict) else cast("list[Any]", template)
        for item in items:
            yield from _texts(item, depth + 1)


def _check_depth(depth: int) -> None:
    if depth > DEPTH_MAX:
        raise ValueError(f"The template is nested deeper than {DEPTH_MAX} levels, or holds itself. Write it flatter, without circular anchors.")


class Unresolved(NamedTuple):
    """Said of a placeholder that nothing was found for."""

    is_kept: bool


GONE = Unresolved(is_kept=False)
KEPT = Unresolved(is_kept=True)


Resolve = Callable[[Placeholder], Any]


def substitute(template: Any, resolve: Resolve, is_strict: bool = False, references: Mapping[str, Any] | None = None) -> Any:
    """Return `template` with each placeholder replaced by what `resolve` says, and `NotSet` when nothing is left of it.

    `resolve` answers a value, `GONE` (a text without it; a key or item that is nothing else goes away) or `KEPT`. A text that is exactly one
    placeholder becomes the value itself. Values are not looked through again. `is_strict`: an object or list within other text is an error.
    `references`: what stands in the place of `{"$ref": {"block_document_id": <id>}}`, by id.
    """
    return _substituted(template, resolve, is_strict, references or {}, 0)


def _substituted(template: Any, resolve: Resolve, is_strict: bool, references: Mapping[str, Any], depth: int) -> Any:
    if isinstance(template, str):
        return _substituted_text(template, resolve, is_strict)
    if not isinstance(template, dict | list):
        return template
    _check_depth(depth)
    if isinstance(template, dict):
        mapping = cast("dict[Any, Any]", template)
        id = _reference(mapping)
        if id is not None and id in references:
            return references[id]
        new = {key: _substituted(value, resolve, is_strict, references, depth + 1) for key, value in mapping.items()}
        return {key: value for key, value in new.items() if value is not NotSet or mapping[key] is NotSet}
    items = (_substituted(item, resolve, is_strict, references, depth + 1) for item in cast("list[Any]", template))
    return [item for item in items if item is not NotSet]


def _substituted_text(text: str, resolve: Resolve, is_strict: bool) -> Any:
    found = _placeholders_in(text)
    if not found:
        return text
    if len(found) == 1 and found[0].full_match == text.strip():
        value = resolve(found[0])
        return text if value is KEPT else NotSet if value is GONE else value

    def written(match: re.Match[str]) -> str:
        value = resolve(Placeholder(match[0], match[1], determine_placeholder_type(match[1])))
        if isinstance(value, Unresolved):
            return match[0] if value.is_kept else ""
        if is_strict and isinstance(value, dict | list):
            kind = "an object" if isinstance(value, dict) else "a list"
            raise ValueError(f"The value of {match[0]} is {kind}, so it cannot stand within other text: {text!r}. Let it stand alone.")
        return str(value)

    return _PLACEHOLDER.sub(written, text)


def apply_values(
    template: T,
    values: Mapping[str, Any],
    remove_notset: bool = True,
    warn_on_notset: bool = False,
    skip_prefixes: list[str] | None = None,
) -> T | Missing:
    """Return `template` with its placeholders replaced from `values`, and those of the form `{{ $NAME }}` from the environment.

    A name may be a path: `{{ build.image }}`, `{{ hosts[0] }}`. A text that is exactly one placeholder becomes the value, whatever its type;
    within other text, the value's text stands. Where there is no value, a key or list item is left out and a text is emptied; with
    `remove_notset=False` the placeholder stays, and `warn_on_notset` logs a warning. A template that is nothing but a placeholder without a
    value is `NotSet`. Placeholders of blocks and variables stay, and those whose names start with one of `skip_prefixes`.
    """
    skipped = tuple(skip_prefixes or ())

    def resolve(one: Placeholder) -> Any:
        if one.type in (PlaceholderType.BLOCK_DOCUMENT, PlaceholderType.VARIABLE) or (skipped and one.name.startswith(skipped)):
            return KEPT
        found = environment_value(one) if one.type is PlaceholderType.ENV_VAR else named_value(values, one)
        if not isinstance(found, Unresolved):
            return found
        if warn_on_notset:
            _warn(one, values)
        return GONE if remove_notset else KEPT

    return substitute(template, resolve)


def named_value(values: Mapping[str, Any], one: Placeholder) -> Any:
    """Return the value of a placeholder: that of its whole name, else what its path leads to; `GONE` when there is none."""
    if one.name in values:
        return values[one.name]
    return get_from_dict(values, one.name, GONE)


def environment_value(one: Placeholder) -> Any:
    """Return what the environment holds for `$NAME`, or `GONE`."""
    return os.environ.get(one.name.removeprefix("$"), GONE)


def _warn(one: Placeholder, values: Mapping[str, Any]) -> None:
    import logging

    where = "in the environment" if one.type is PlaceholderType.ENV_VAR else f"among {', '.join(sorted(map(str, values))) or 'no values at all'}"
    logging.getLogger("headrace.deployments").warning(
        "Nothing is found for the placeholder %s %s. %s", one.full_match, where, near(one.name.split(".")[0], map(str, values))
    )


# --- blocks and variables -------------------------------------------------------------------------------------------------------------


async def aresolve_block_document_references(
    template: T, client: Client | None = None, value_transformer: Callable[[str, Any], Any] | None = None
) -> T | dict[str, Any]:
    """Return `template` with `{{ headrace.blocks.<type>.<name>[.<path>] }}` replaced by what the block holds, and references by the block's data.

    A reference is `{"$ref": {"block_document_id": <id>}}`. The `value` of a block that has nothing else need not be named. `value_transformer`
    gets the placeholder and the value and returns what shall stand there. Each block is read once. Raises `ValueError` for a block or path
    that does not exist, and for an object within other text.
    """
    reached = client if client is not None else current_client()
    values = await _block_values(reached, template)

    def resolve(one: Placeholder) -> Any:
        if one.name not in values:
            return KEPT
        return value_transformer(one.full_match, values[one.name]) if value_transformer is not None else values[one.name]

    return substitute(template, resolve, is_strict=True, references=await _referenced(reached, template))


async def _block_values(client: Client, template: Any) -> dict[str, Any]:
    """Return what the placeholders of blocks in `template` stand for, by their names. Each block is read once."""
    wanted = {one.name for one in find_placeholders(template) if one.type is PlaceholderType.BLOCK_DOCUMENT}
    documents: dict[tuple[str, str], Any] = {}
    values: dict[str, Any] = {}
    for name in sorted(wanted):
        slug, document, path = block_address(name)
        if (slug, document) not in documents:
            documents[slug, document] = await _read_block(client, slug, document)
        values[name] = _within(documents[slug, document], path, name)
    return values


async def _referenced(client: Client, template: Any) -> dict[str, Any]:
    """Return the data of the blocks that `template` refers to, by their ids. Each block is read once."""
    wanted = {_reference(one) for one in _mappings(template, 0)} - {None}
    return {id: await _read_block_by_id(client, id) for id in sorted(filter(None, wanted))}


def _mappings(template: Any, depth: int) -> Iterator[dict[str, Any]]:
    if isinstance(template, dict | list):
        _check_depth(depth)
        if isinstance(template, dict):
            yield cast("dict[str, Any]", template)
        for item in cast("dict[str, Any]", template).values() if isinstance(template, dict) else cast("list[Any]", template):
            yield from _mappings(item, depth + 1)


def _reference(mapping: dict[str, Any]) -> str | None:
    target = mapping.get("$ref")
    return str(cast("dict[str, Any]", target)["block_document_id"]) if isinstance(target, dict) and "block_document_id" in target else None


def block_address(name: str) -> tuple[str, str, str]:
    """Return the type, the name and the path (maybe "") that a placeholder of a block names. Raises `ValueError` when parts are missing."""
    parts = name.split(".", 4)[2:]
    if len(parts) < 2 or not all(parts):
        raise ValueError(f"{name!r} does not say which block is meant: write headrace.blocks.<type>.<name>, and if need be .<path>.")
    return parts[0], re.split(r"(?=\[)", parts[1])[0], ".".join([*re.split(r"(?=\[)", parts[1])[1:], *parts[2:]])


async def _read_block(client: Client, slug: str, name: str) -> Any:
    from headrace.model.endpoints.blocks import READ_BLOCK_DOCUMENT_BY_NAME, READ_BLOCK_DOCUMENTS_BY_TYPE

    try:
        return (await client.call(READ_BLOCK_DOCUMENT_BY_NAME, slug=slug, block_document_name=name, include_secrets=True)).data
    except ObjectNotFound:
        pass
    try:
        others = [str(one.name) for one in await client.call(READ_BLOCK_DOCUMENTS_BY_TYPE, slug=slug)]
    except ObjectNotFound:
        others = []
    known = near(name, others) or (f"There is {', '.join(sorted(others)[:10])}." if others else "")
    raise ValueError(f"There is no block {slug}/{name}. {known}".rstrip() + " Save it, or correct the name.")


async def _read_block_by_id(client: Client, id: str) -> Any:
    from uuid import UUID

    from headrace.model.endpoints.blocks import READ_BLOCK_DOCUMENT

    try:
        return (await client.call(READ_BLOCK_DOCUMENT, id=UUID(id), include_secrets=True)).data
    except (ValueError, ObjectNotFound):
        raise ValueError(f"There is no block document with the id {id!r}, which a reference names.") from None


def _within(data: Any, path: str, name: str) -> Any:
    fields = cast("dict[str, Any]", data or {})
    is_single = len(fields) == 1 and "value" in fields
    if not path:
        return fields["value"] if is_single else fields
    for start in (fields, *([fields["value"]] if is_single else [])):
        found = get_from_dict(start, path, GONE)
        if found is not GONE:
            return found
    raise ValueError(f"The block has nothing at {path!r}, which {{{{ {name} }}}} names. {near(path, fields) or 'It has: ' + ', '.join(fields) + '.'}")


async def aresolve_variables(template: T, client: Client | None = None) -> T:
    """Return `template` with `{{ headrace.variables.<name> }}` replaced by the variables' values; where there is none, by an empty text.

    A text that is exactly one placeholder becomes the value, whatever its type. Each variable is read once.
    """
    values = await _variable_values(client if client is not None else current_client(), template)
    return substitute(template, lambda one: values.get(one.name, KEPT))


async def _variable_values(client: Client, template: Any) -> dict[str, Any]:
    """Return what the placeholders of variables in `template` stand for, by their names. Each variable is read once."""
    wanted = {one.name for one in find_placeholders(template) if one.type is PlaceholderType.VARIABLE}
    values = {name: await read_variable(client, variable_name(name)) for name in sorted(wanted)}
    return {name: "" if value is GONE else value for name, value in values.items()}


def variable_name(name: str) -> str:
    """Return the variable that a placeholder names."""
    return name.split(".", 2)[2]


async def read_variable(client: Client, name: str) -> Any:
    """Return the value of a stored variable, or `GONE`."""
    from headrace.model.endpoints.variables import READ_VARIABLE_BY_NAME

    try:
        return (await client.call(READ_VARIABLE_BY_NAME, name=name)).value
    except ObjectNotFound:
        return GONE


async def aresolve_stored(template: Any, client: Client | None = None) -> Any:
    """Return `template` with the placeholders of blocks, variables and the environment replaced, and references by their blocks' data.

    What is put in is not looked through again, so that no value can ask for another. Raises as `resolve_block_document_references`.
    """
    reached = client if client is not None else current_client()
    values = {**await _block_values(reached, template), **await _variable_values(reached, template)}

    def resolve(one: Placeholder) -> Any:
        return environment_value(one) if one.type is PlaceholderType.ENV_VAR else values.get(one.name, KEPT)

    return substitute(template, resolve, is_strict=True, references=await _referenced(reached, template))


resolve_block_document_references = blocking(aresolve_block_document_references)
resolve_variables = blocking(aresolve_variables)
