"""Bodies and answers as JSON, without building pydantic's schemas where a flow run can do without: they cost more than the run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, from_json, to_json

from headrace.model import ids

Plain = Any
Read = Callable[[Any], Any]

_TRUSTED = frozenset({"Flow", "FlowRun", "OrchestrationResult"})
"""What a flow run reads. The server has checked these as the embedded store has; all else is read by pydantic."""

_SCALARS = (str, int, float, bool)


def encode(body: Any) -> bytes:
    """Return a body as JSON: of a model what was set or has a value of its own, so that the server fills in the rest."""
    plain = to_plain(body)
    if isinstance(body, BaseModel) and "idempotency_key" in type(body).model_fields and plain.get("idempotency_key") is None:
        plain["idempotency_key"] = ids.new_text()  # sent again after a lost answer, the body is answered with what it made
    try:
        return to_json(plain, timedelta_mode="float", inf_nan_mode="null")
    except (PydanticSerializationError, UnicodeEncodeError):
        import json

        return json.dumps(plain, ensure_ascii=False, default=_last_resort).encode("utf-8", "replace")  # lone surrogates become "?"


def _last_resort(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, timedelta_mode="float")


def to_plain(value: Any) -> Plain:
    """Return dicts and lists in place of the models in `value`."""
    if isinstance(value, BaseModel):
        if value.__pydantic_root_model__:
            return to_plain(value.__dict__["root"])
        told = value.model_fields_set
        made = _made(type(value))
        return {name: to_plain(one) for name, one in value.__dict__.items() if name in told or (name in made and _is_news(one, made[name]))}
    if isinstance(value, dict):
        return {key: to_plain(one) for key, one in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(one) for one in cast("list[Any]", value)]
    return value


@cache
def _made(cls: type[BaseModel]) -> dict[str, Callable[[], Any] | None]:
    """Return the fields that are told though nobody set them: those whose defaults are made anew for each object and may have been changed in
    place since, by what makes them; and the constants that tell shapes apart."""
    factories = {name: cast("Callable[[], Any]", one.default_factory) for name, one in cls.model_fields.items() if one.default_factory is not None}
    constants = dict.fromkeys(name for name, one in cls.model_fields.items() if get_origin(one.annotation) is Literal)
    return {**factories, **constants}


def _is_news(value: Any, default: Callable[[], Any] | None) -> bool:
    return default is None or value != default()


def decode(returns: Any, content: bytes) -> Any:
    """Read an answer of the type that an endpoint declares."""
    if returns is None or not content:
        return None
    if returns in _SCALARS:
        return from_json(content)
    if getattr(returns, "__name__", "") in _TRUSTED:
        return _reader(returns)(from_json(content))
    return _adapter(returns).validate_json(content)


_adapters: dict[str, Any] = {}


def _adapter(returns: Any) -> Any:
    key = repr(returns)  # types such as `list[Flow]` are made anew by each module that names them
    if key not in _adapters:
        from pydantic import TypeAdapter

        _adapters[key] = TypeAdapter(returns)
    return _adapters[key]


@cache
def _reader(kind: Any) -> Read:
    """Return what makes a value of a field's type from JSON, trusting that it fits."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _union([one for one in get_args(kind) if one is not NoneType])
    if isinstance(kind, type):
        if issubclass(kind, BaseModel):
            return _model(kind)
        if issubclass(kind, Enum) or kind is UUID:
            return kind
    if kind is datetime:
        return datetime.fromisoformat
    if kind is timedelta:
        return _duration
    if origin is set:
        return set
    return _same


def _union(kinds: list[Any]) -> Read:
    if len(kinds) == 1:
        read = _reader(kinds[0])
        return read if read is _same else lambda value: None if value is None else read(value)
    by_type = {get_args(one.model_fields["type"].annotation)[0]: _reader(one) for one in kinds if _is_tagged(one)}
    return (lambda value: by_type[value["type"]](value)) if by_type else _same


def _is_tagged(kind: Any) -> bool:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return False
    tag = kind.model_fields.get("type")
    return tag is not None and get_origin(tag.annotation) is Literal


def _model(kind: type[BaseModel]) -> Read:
    fields = [(name, _reader(one.annotation), one) for name, one in kind.model_fields.items()]
    names = frozenset(kind.model_fields)

    def read(given: dict[str, Any]) -> BaseModel:
        values = {name: _value(given, name, reader, one) for name, reader, one in fields}
        made = kind.__new__(kind)
        object.__setattr__(made, "__dict__", values)
        object.__setattr__(made, "__pydantic_fields_set__", set(names))
        object.__setattr__(made, "__pydantic_extra__", None)
        object.__setattr__(made, "__pydantic_private__", None)
        return made

    return read


def _value(given: dict[str, Any], name: str, read: Read, field: FieldInfo) -> Any:
    if name not in given:
        return field.get_default(call_default_factory=True)
    value = given[name]
    return value if read is _same or value is None else read(value)


def _duration(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _same(value: Any) -> Any:
    return value
