"""Hashes that are the same in every process and on every machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from headrace.data import pickling
from headrace.model.errors import HashError

_FILE_CHUNK_BYTES = 1 << 20


def _blake(data: bytes = b"") -> Any:
    from hashlib import blake2b

    return blake2b(data, digest_size=16)


def stable_hash(*args: str | bytes, hash_algo: Callable[..., Any] = _blake) -> str:
    """Return hexadecimal text that depends on the contents of `args` alone; text counts as UTF-8.

    `hash_algo` is a constructor of `hashlib`; by default BLAKE2b of 16 bytes, so 32 characters.
    """
    digest = hash_algo()
    for arg in args:
        digest.update(arg.encode() if isinstance(arg, str) else arg)
    return digest.hexdigest()


def file_hash(path: str, hash_algo: Callable[..., Any] = _blake) -> str:
    """Return the hash of a file's contents as hexadecimal text."""
    digest = hash_algo()
    with open(path, "rb") as file:
        while chunk := file.read(_FILE_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_objects(*args: Any, hash_algo: Callable[..., Any] = _blake, raise_on_failure: bool = False, **kwargs: Any) -> str | None:
    """Hash any objects: by their JSON form (keys sorted, sets sorted), else by their pickle.

    The order of a table's columns does not count. Returns None when an object can be neither written as JSON nor pickled, or
    raises `HashError` with `raise_on_failure`.
    """
    values = (tuple(_settled(arg) for arg in args), {key: _settled(value) for key, value in kwargs.items()})
    try:
        return stable_hash(_as_json(values), hash_algo=hash_algo)
    except Exception as json_error:  # noqa: BLE001  # users' values raise anything; the pickle is the next try
        try:
            return stable_hash(_as_pickle(values), hash_algo=hash_algo)
        except Exception as pickle_error:
            if not raise_on_failure:
                return None
            raise HashError(f"Unable to create hash - objects could not be serialized: {json_error}; {pickle_error}") from pickle_error


def _as_json(values: Any) -> bytes:
    import json

    from headrace.data.serializers import encode_object

    def encode(obj: Any) -> Any:
        if isinstance(obj, (set, frozenset)):  # its order differs from process to process
            members = [json.dumps(member, sort_keys=True, default=encode) for member in obj]  # pyright: ignore[reportUnknownVariableType]  # a user's value
            return {"__class__": "set", "data": sorted(members)}
        return encode_object(obj)

    return json.dumps(values, sort_keys=True, default=encode).encode()


def _as_pickle(values: Any) -> bytes:
    return pickling.dumps(values)


def _settled(value: Any) -> Any:
    """Give a table's columns a fixed order. Known by its shape, so that no table library is imported."""
    kind = cast("type[Any]", type(value))
    if kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] in {"pandas", "polars"}:
        return value[sorted(value.columns)]
    return value
