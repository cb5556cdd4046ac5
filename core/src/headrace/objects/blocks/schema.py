"""The JSON schema of a block class, with what the documented API adds to it: secrets, nested blocks, positions."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isabstract
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from typing_extensions import TypeAliasType

from headrace.model.blocks import schema_checksum
from headrace.objects.fields import model_secret_paths

if TYPE_CHECKING:
    from headrace.objects.blocks.block import Block

_schemas: WeakKeyDictionary[type[Block], dict[str, Any]] = WeakKeyDictionary()


def block_schema_fields(block_class: type[Block]) -> dict[str, Any]:
    """Return the schema of a block class as it is stored. Computed at the first call; do not change what is returned.

    A generic class has one schema, whatever its parameters: a type does not change with what is put into it.
    """
    block_class = cast("type[Block]", block_class.__pydantic_generic_metadata__["origin"] or block_class)
    found = _schemas.get(block_class)
    if found is None:
        found = _schemas[block_class] = block_class.model_json_schema()
    return found


def checksum(block_class: type[Block]) -> str:
    """Return the checksum of a block class's schema."""
    return schema_checksum(block_schema_fields(block_class))


def schema_extra(schema: dict[str, Any], model: type[Block]) -> None:
    """Add to a JSON schema what the API wants to know of a block: slug, secret fields, nested blocks, order of fields."""
    schema["block_type_slug"] = model.get_block_type_slug()
    schema["secret_fields"] = model_secret_paths(model)
    schema["block_schema_references"] = _references(model)
    schema.pop("additionalProperties", None)  # a document may hold more, but the API does not say so
    description = model.get_description()
    if description:
        schema["description"] = description
    else:
        schema.pop("description", None)
    for position, property_ in enumerate(cast("dict[str, dict[str, Any]]", schema.get("properties", {})).values()):
        property_["position"] = position


def with_definitions(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its definitions under `definitions` and itself at the top, also if it refers to itself."""
    definitions = schema.pop("$defs", None)
    if definitions:
        schema["definitions"] = definitions
        if set(schema) <= {"$ref", "definitions"}:
            own: dict[str, Any] = definitions[schema.pop("$ref").rpartition("/")[2]]
            schema.update(own)
    return schema


def nested_block_classes(block_class: type[Block]) -> list[type[Block]]:
    """Return the concrete block classes that fields of a block hold, each once, not those within them."""
    found = [nested for field in block_class.model_fields.values() for nested in _blocks_in(field.annotation)]
    return list(dict.fromkeys(found))


def _references(block_class: type[Block]) -> dict[str, Any]:
    references: dict[str, Any] = {}
    for name, field in block_class.model_fields.items():
        nested = [
            {"block_schema_checksum": checksum(other), "block_type_slug": other.get_block_type_slug()}
            for other in dict.fromkeys(_blocks_in(field.annotation))
            if other is not block_class
        ]
        if nested:
            references[field.alias or name] = nested[0] if len(nested) == 1 else nested
    return references


def _blocks_in(annotation: Any) -> Iterator[type[Block]]:
    if isinstance(annotation, TypeAliasType):
        yield from _blocks_in(annotation.__value__)
    elif isinstance(annotation, type) and get_origin(annotation) is None:
        if is_saveable(annotation):
            yield annotation
    else:
        for argument in get_args(annotation):
            yield from _blocks_in(argument)


def is_saveable(candidate: type) -> Any:
    """Say whether a class is a block class that is neither `Block` itself nor an interface."""
    return (
        issubclass(candidate, BaseModel)
        and hasattr(candidate, "get_block_type_slug")
        and not isabstract(candidate)
        and not candidate.__dict__.get("_is_interface", False)
    )
