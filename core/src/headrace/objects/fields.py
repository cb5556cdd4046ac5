"""Fields that keep their value to themselves, and how a block's values are shown with and without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, GetJsonSchemaHandler, Secret, SecretBytes, SecretStr
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python
from typing_extensions import TypeAliasType

STARS = "**********"
SECRET_TYPES: tuple[type, ...] = (SecretStr, SecretBytes, Secret)


def stars(value: Any) -> Any:
    """Return `value` with every leaf replaced by stars: mappings and lists keep their shape."""
    if isinstance(value, Mapping):
        return {key: stars(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [stars(item) for item in cast("Sequence[Any]", value)]
    return STARS


class SecretDict(Secret[dict[str, Any]]):
    """A dictionary whose values never show at any depth; its keys do. `get_secret_value()` returns it in clear."""

    def _display(self) -> str:
        return str(stars(self.get_secret_value()))

    def __str__(self) -> str:
        return self._display()

    def __repr__(self) -> str:
        return f"SecretDict('{self._display()}')"

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "object", "additionalProperties": True, "writeOnly": True}


def secret_paths(annotation: Any, seen: tuple[type, ...] = ()) -> list[str]:
    """Return where secrets are in values of this type, as dotted paths; "" is the value itself, `*` any key or index."""
    if isinstance(annotation, TypeAliasType):
        return secret_paths(annotation.__value__, seen)
    origin = get_origin(annotation)
    if isinstance(annotation, type) and origin is None:
        if issubclass(annotation, SecretDict):
            return ["*"]
        if issubclass(annotation, SECRET_TYPES):
            return [""]
        return model_secret_paths(annotation, seen) if issubclass(annotation, BaseModel) else []
    arguments = get_args(annotation)
    if origin in (Union, UnionType):
        return _distinct([path for argument in arguments for path in secret_paths(argument, seen)])
    if isinstance(origin, type):
        if issubclass(origin, SECRET_TYPES):
            return [""]
        if issubclass(origin, Mapping | Sequence | set | frozenset):
            return _distinct([joined("*", path) for argument in arguments for path in secret_paths(argument, seen)])
        return []
    return secret_paths(arguments[0], seen) if arguments else []  # Annotated, Final, …


def model_secret_paths(model: type[BaseModel], seen: tuple[type, ...] = ()) -> list[str]:
    """Return the dotted paths of the secrets in a model, in the order of its fields. A model inside itself is followed once."""
    if model in seen:
        return []
    return _distinct(
        [joined(field.alias or name, path) for name, field in model.model_fields.items() for path in secret_paths(field.annotation, (*seen, model))]
    )


def joined(head: str, tail: str) -> str:
    """Return the dotted path `head.tail`, where either may be empty."""
    return f"{head}.{tail}" if head and tail else head or tail


def _distinct(paths: list[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def reveal(value: Any, dumped: Any, by_alias: bool) -> Any:
    """Return `dumped`, which pydantic made of `value`, with the secrets in clear.

    Raises ValueError for secret bytes that are not UTF-8 text, since JSON cannot carry them.
    """
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, SecretBytes):
        try:
            return value.get_secret_value().decode()
        except UnicodeDecodeError:
            raise ValueError("A SecretBytes value is not UTF-8 text, so it cannot be saved. Store it as base64 text.") from None
    if isinstance(value, Secret):
        return to_jsonable_python(cast("Secret[Any]", value).get_secret_value())
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        return _reveal_model(value, cast("dict[str, Any]", dumped), by_alias)
    if isinstance(value, Mapping) and isinstance(dumped, dict):
        shown = cast("dict[Any, Any]", dumped)
        items = zip(cast("Mapping[Any, Any]", value).values(), shown.items(), strict=False)
        return {key: reveal(item, plain, by_alias) for item, (key, plain) in items}
    if isinstance(value, list | tuple | set | frozenset) and isinstance(dumped, list | tuple):
        pairs = zip(cast("Iterable[Any]", value), cast("Sequence[Any]", dumped), strict=False)
        return [reveal(item, plain, by_alias) for item, plain in pairs]
    return dumped


def _reveal_model(value: BaseModel, dumped: dict[str, Any], by_alias: bool) -> dict[str, Any]:
    revealed = dict(dumped)
    extra = value.model_extra or {}
    fields = type(value).model_fields
    for name, item in [*((name, getattr(value, name, None)) for name in fields), *extra.items()]:
        field = fields.get(name)
        key = field.serialization_alias or field.alias or name if field is not None and by_alias else name
        if key in revealed:
            revealed[key] = reveal(item, revealed[key], by_alias)
    return revealed
