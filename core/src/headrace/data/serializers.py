"""Serializers: values to bytes and back. Each has a `type` by which settings, decorators and stored records name it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from headrace.data.collections import visit_collection
from headrace.data.importing import from_qualified_name, to_qualified_name
from headrace.model.errors import PluginError, near

_types: dict[str, type[Serializer]] = {}
"""Every class that was defined with a type, by type."""


class Serializer(BaseModel):
    """Turns objects into bytes (`dumps`) and bytes into objects (`loads`).

    `Serializer(type="json")` makes the serializer of that type. A subclass with a default for `type` is known by it from then
    on. Its bytes are stored in a JSON document, best as UTF-8 text. Raises `ValidationError` for an unknown type.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    type: str

    def __new__(cls, **values: Any) -> Self:
        if cls is Serializer and "type" in values:
            kind: Any = find_serializer(values["type"]) or cls
            return super().__new__(kind)
        return super().__new__(cls)

    @classmethod
    def __class_getitem__(cls, item: Any) -> type[Self]:
        """Accept `Serializer[T]` in annotations; it is the same class."""
        return cls

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        name = cls.model_fields["type"].default
        if isinstance(name, str):
            _types[name] = cls

    @model_validator(mode="wrap")
    @classmethod
    def _dispatch(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if cls is not Serializer:
            return handler(value)
        if isinstance(value, str):
            value = {"type": value}
        name = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else None
        if not isinstance(name, str):
            return handler(value)
        kind = find_serializer(name)
        if kind is None:
            raise ValueError(unknown_serializer(name))
        return cast("Self", kind.model_validate(value))

    def dumps(self, obj: Any) -> bytes:
        """Encode an object into bytes."""
        raise TypeError(f"{type(self).__name__} has no `dumps`: a serializer must turn objects into bytes.")

    def loads(self, blob: bytes) -> Any:
        """Decode what `dumps` made."""
        raise TypeError(f"{type(self).__name__} has no `loads`: a serializer must turn its bytes back into objects.")

    def stored_values(self) -> dict[str, Any]:
        """Return what is stored beside a result, so that an equal serializer can be made to read it."""
        return self.model_dump(mode="json")


def find_serializer(name: str) -> type[Serializer] | None:
    """Return the class of that type: defined in this process, or offered by a plugin. None when there is none."""
    if name in _types:
        return _types[name]
    from headrace.plugin import Kind, get_registry

    try:
        offered: Any = get_registry().resolve(Kind.SERIALIZER, name)
    except PluginError:
        return None
    return offered


def unknown_serializer(name: str) -> str:
    """Say that no serializer has that type, and which ones there are."""
    hint = near(name, _types)
    known = ", ".join(sorted(_types))
    return " ".join(part for part in (f"No serializer has the type {name!r}.", hint, f"Known are: {known}.") if part)


def _library(path: str, *functions: str) -> Any:
    """Import a module and see that it has the functions; raises `ValueError`."""
    try:
        module = from_qualified_name(path)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"Failed to import the library {path!r}: {error}. Install it, or name another one.") from error
    for function in functions:
        if not callable(getattr(module, function, None)):
            raise ValueError(f"Library {path!r} does not have a `{function}` function, which a serializer needs.")  # noqa: TRY004
    return module


class PickleSerializer(Serializer):
    """Pickles objects, as base64 text. `picklelib` is the module that pickles; its version is kept to explain a failing load.

    Loading a pickle runs code: read results only from storage that you trust.
    """

    type: str = Field(default="pickle")
    picklelib: str = "cloudpickle"
    picklelib_version: str | None = None

    @field_validator("picklelib")
    @classmethod
    def check_picklelib(cls, value: str) -> str:
        """Refuse a module that cannot be imported or lacks `dumps` or `loads`."""
        _library(value, "dumps", "loads")
        return value

    def stored_values(self) -> dict[str, Any]:
        """Return what is stored beside a result, with the version of the library that pickled it."""
        version = self.picklelib_version or getattr(_library(self.picklelib), "__version__", None)
        return {**super().stored_values(), "picklelib_version": version}

    def dumps(self, obj: Any) -> bytes:
        """Encode an object into bytes."""
        return b64encode(_library(self.picklelib).dumps(obj))

    def loads(self, blob: bytes) -> Any:
        """Decode what `dumps` made."""
        library = _library(self.picklelib)
        try:
            return library.loads(b64decode(blob))
        except Exception as error:
            here = getattr(library, "__version__", None)
            if self.picklelib_version is not None and self.picklelib_version != here:
                error.add_note(f"It was pickled with {self.picklelib} {self.picklelib_version}; this process has {here}.")
            raise


# --- JSON --------------------------------------------------------------------------------------------------------------

_PLAIN = frozenset(
    {
        "datetime.datetime",
        "datetime.date",
        "datetime.time",
        "datetime.timedelta",
        "uuid.UUID",
        "decimal.Decimal",
        "fractions.Fraction",
        "ipaddress.IPv4Address",
        "ipaddress.IPv6Address",
        "ipaddress.IPv4Network",
        "ipaddress.IPv6Network",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib.Path",
        "pathlib.PurePosixPath",
        "pathlib.PureWindowsPath",
        "pathlib.PurePath",
    }
)
"""Classes of the standard library that JSON results may hold, beside models, dataclasses and enumerations."""


def encode_object(obj: Any) -> Any:
    """Give JSON a form for what it does not know: `{"__class__": name, "data": …}`, exceptions `{"__exc_type__", "message"}`.

    Knows sets, bytes, dates and times, UUIDs, decimals, paths, enumerations, dataclasses and pydantic models. Raises `TypeError`
    for anything else, for classes that could not be found again when reading, and for what holds a secret.
    """
    if isinstance(obj, BaseException):
        return {"__exc_type__": to_qualified_name(type(obj)), "message": str(obj)}
    if isinstance(obj, (set, frozenset)):
        return {"__class__": type(obj).__name__, "data": list(obj)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # a user's value
    if isinstance(obj, (bytes, bytearray)):
        return {"__class__": type(obj).__name__, "data": b64encode(obj).decode()}
    kind = cast("type[Any]", type(obj))
    name = to_qualified_name(kind).replace("pathlib._local.", "pathlib.")  # where Python 3.13 defines them
    if name not in _PLAIN:
        if not _is_structured(kind):
            raise TypeError(f"Object of type {kind.__name__} is not JSON serializable: it is no model, dataclass or known type.")
        if "<locals>" in name or "[" in name:
            raise TypeError(f"Object of type {kind.__name__} is not JSON serializable: {name!r} cannot be imported when it is read.")
        if _holds_secret(obj):
            raise TypeError(f"Object of type {kind.__name__} is not JSON serializable: it holds a secret, which JSON would show or lose.")
    try:
        return {"__class__": name, "data": _plain(obj, name, kind)}
    except Exception as error:
        raise TypeError(f"Object of type {kind.__name__} is not JSON serializable: {error}") from error


def _plain(obj: Any, name: str, kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    if isinstance(obj, BaseModel):
        return obj.model_dump(mode="json")
    return str(obj) if name.startswith("pathlib.") else TypeAdapter(kind).dump_python(obj, mode="json")


def _holds_secret(obj: Any) -> bool:
    from pydantic import Secret, SecretBytes, SecretStr

    found: list[Any] = []

    def look(value: Any) -> None:
        if isinstance(value, (Secret, SecretBytes, SecretStr)):
            found.append(value)

    visit_collection(obj, look)
    return bool(found)


def decode_object(result: dict[str, Any]) -> Any:
    """Undo `encode_object`. Makes only what it could have written: it never calls an arbitrary name found in the data."""
    if "__class__" in result and "data" in result:
        return _decode(result["__class__"], result["data"])
    if "__exc_type__" in result:
        kind = _importable(result["__exc_type__"])
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise ValueError(f"Refused to read {result['__exc_type__']!r} as an exception: it is none.")
        return kind(result.get("message"))
    return result


def _decode(name: str, data: Any) -> Any:
    builtin: dict[str, Callable[[Any], Any]] = {"set": set, "frozenset": frozenset, "bytes": b64decode, "bytearray": _bytearray}
    if name in builtin:
        return builtin[name](data)
    kind: Any = _importable(name)
    if name not in _PLAIN and not _is_structured(kind):
        raise ValueError(f"Refused to make a {name!r} from JSON: only models, dataclasses, enumerations and plain data types are read.")
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_python(data)


def _bytearray(data: str) -> bytearray:
    return bytearray(b64decode(data))


def _importable(name: str) -> Any:
    try:
        return from_qualified_name(name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"A stored value is a {name!r}, which cannot be imported here: {error}") from error


def _is_structured(kind: Any) -> bool:
    from dataclasses import is_dataclass
    from enum import Enum

    return isinstance(kind, type) and (issubclass(kind, (BaseModel, Enum)) or is_dataclass(cast("Any", kind)))


headrace_json_object_encoder = encode_object
headrace_json_object_decoder = decode_object


class JSONSerializer(Serializer):
    """Writes objects as JSON text. See `headrace_json_object_encoder` for what it knows beyond JSON.

    `jsonlib` is the module that writes and reads; `object_encoder` and `object_decoder` are import paths of the functions for
    other objects, or None; `dumps_kwargs` and `loads_kwargs` go to the module, without `default` and `object_hook`.
    """

    type: str = Field(default="json")
    jsonlib: str = "json"
    object_encoder: str | None = "headrace.serializers.headrace_json_object_encoder"
    object_decoder: str | None = "headrace.serializers.headrace_json_object_decoder"
    dumps_kwargs: dict[str, Any] = Field(default_factory=dict)
    loads_kwargs: dict[str, Any] = Field(default_factory=dict)

    @field_validator("dumps_kwargs")
    @classmethod
    def dumps_kwargs_cannot_contain_default(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse `default`: that is what `object_encoder` is for."""
        if "default" in value:
            raise ValueError("`default` cannot be provided. Use `object_encoder` instead.")
        return value

    @field_validator("loads_kwargs")
    @classmethod
    def loads_kwargs_cannot_contain_object_hook(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse `object_hook`: that is what `object_decoder` is for."""
        if "object_hook" in value:
            raise ValueError("`object_hook` cannot be provided. Use `object_decoder` instead.")
        return value

    def dumps(self, obj: Any) -> bytes:
        """Encode an object into bytes."""
        options = dict(self.dumps_kwargs)
        if self.object_encoder:
            options["default"] = from_qualified_name(self.object_encoder)
        text: str | bytes = _library(self.jsonlib, "dumps").dumps(obj, **options)
        return text.encode() if isinstance(text, str) else text

    def loads(self, blob: bytes) -> Any:
        """Decode what `dumps` made."""
        options = dict(self.loads_kwargs)
        if self.object_decoder:
            options["object_hook"] = from_qualified_name(self.object_decoder)
        return _library(self.jsonlib, "loads").loads(blob.decode(), **options)


# --- compression ---------------------------------------------------------------------------------------------------------


class CompressedSerializer(Serializer):
    """Compresses what another serializer makes, as base64 text.

    `compressionlib` is the import path of a module with `compress(bytes)` and `decompress(bytes)`, as lzma, zlib, bz2 or gzip;
    `level` is given to `compress` (None: its default).
    """

    LEVEL_NAMES: ClassVar[tuple[str, ...]] = ("level", "compresslevel", "preset")

    type: str = Field(default="compressed")
    serializer: SerializeAsAny[Serializer]
    compressionlib: str = "lzma"
    level: int | None = None

    @field_validator("serializer", mode="before")
    @classmethod
    def validate_serializer(cls, value: Any) -> Any:
        """Take a serializer or the type of one."""
        return Serializer(type=value) if isinstance(value, str) else value

    @field_validator("compressionlib")
    @classmethod
    def check_compressionlib(cls, value: str) -> str:
        """Refuse a module that cannot be imported or lacks `compress` or `decompress`."""
        _library(value, "compress", "decompress")
        return value

    def dumps(self, obj: Any) -> bytes:
        """Encode an object into bytes."""
        compress = _library(self.compressionlib).compress
        blob = self.serializer.dumps(obj)
        return b64encode(compress(blob) if self.level is None else compress(blob, **{self._level_name(compress): self.level}))

    def loads(self, blob: bytes) -> Any:
        """Decode what `dumps` made."""
        return self.serializer.loads(_library(self.compressionlib).decompress(b64decode(blob)))

    def _level_name(self, compress: Callable[..., bytes]) -> str:
        """Find what the library calls the level: zlib `level`, bz2 and gzip `compresslevel`, lzma `preset`."""
        from inspect import signature

        taken = signature(compress).parameters
        return next((name for name in self.LEVEL_NAMES if name in taken), "level")


class CompressedPickleSerializer(CompressedSerializer):
    """Compresses pickles."""

    type: str = Field(default="compressed/pickle")
    serializer: SerializeAsAny[Serializer] = Field(default_factory=PickleSerializer)


class CompressedJSONSerializer(CompressedSerializer):
    """Compresses JSON text."""

    type: str = Field(default="compressed/json")
    serializer: SerializeAsAny[Serializer] = Field(default_factory=JSONSerializer)


def serializer_from(values: dict[str, Any]) -> Serializer:
    """Make the serializer that a stored record names. Raises `ValueError` when this process has none of that type."""
    try:
        return Serializer.model_validate(values)
    except ValidationError as error:
        raise ValueError("; ".join(str(detail["msg"]) for detail in error.errors())) from error
