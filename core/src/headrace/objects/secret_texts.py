"""Texts without the secrets in them, for errors and logs that quote what a service or a program said."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, Secret

from headrace.objects.fields import SECRET_TYPES

MASK = "********"
SHORTEST = 4
"""A shorter secret would blot out ordinary words."""

_NAMES = re.compile(
    r"secret|token|password|passphrase|credential|api_?key|auth_?string|private_?key|access_?key|connection_?(?:string|url)|dsn", re.IGNORECASE
)
_IN_URL = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")


def is_secret_name(name: str) -> bool:
    """Say whether a variable or field of this name holds a secret, as far as its name tells."""
    return _NAMES.search(name) is not None


def revealed(value: Any) -> Any:
    """Return the value of a secret in clear, and anything else as it is: `SecretStr`, `SecretBytes`, `SecretDict`."""
    if isinstance(value, SECRET_TYPES):
        return cast("Secret[Any]", value).get_secret_value()
    return value


def secrets_of(*values: Any) -> list[str]:
    """Return every text that is a secret in these values: secret fields of blocks and models at any depth, values of secret types, plain texts."""
    return sorted({text for value in values for text in _texts(value, isinstance(value, str | bytes))}, key=len, reverse=True)


def hidden(text: str, *values: Any) -> str:
    """Return `text` with each secret of these values masked, in every form that it takes: as it is, encoded for an address, in base64.

    User names and passwords in addresses are masked too, whosever they are.
    """
    for secret in secrets_of(*values):
        if len(secret) >= SHORTEST:
            forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), b64encode(secret.encode()).decode().rstrip("=")}
            for form in sorted(forms, key=len, reverse=True):
                text = text.replace(form, MASK)
    return _IN_URL.sub(MASK, text)


def _texts(value: Any, is_secret: bool) -> Iterator[str]:
    if isinstance(value, SECRET_TYPES):
        yield from _texts(cast("Secret[Any]", value).get_secret_value(), True)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name, None), False)
    elif isinstance(value, Mapping):
        for item in cast("Mapping[Any, Any]", value).values():
            yield from _texts(item, is_secret)
    elif isinstance(value, list | tuple | set):
        for item in cast("Sequence[Any]", value):
            yield from _texts(item, is_secret)
    elif is_secret and isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif is_secret and isinstance(value, str) and value:
        yield value
