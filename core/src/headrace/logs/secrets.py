"""Keeping the credentials of the API out of every log line."""

from __future__ import annotations

import logging
from typing import Any, cast

from headrace.settings import get_current_settings

MASK = "********"
_SHORTEST = 4  # a shorter secret would blot out ordinary words

_known: tuple[object, tuple[str, ...]] = (None, ())


def secrets() -> tuple[str, ...]:
    """Return the texts that must not be shown: the API key and the password of the API, if they are set."""
    global _known
    settings = get_current_settings()
    if _known[0] is not settings:
        _known = (settings, _read(settings))
    return _known[1]


def _read(settings: Any) -> tuple[str, ...]:
    found: list[str] = []
    for secret in (settings.api.key, settings.api.auth_string):
        text = secret.get_secret_value() if secret is not None else ""
        found += [text, text.partition(":")[2]]
    return tuple(sorted({text for text in found if len(text) >= _SHORTEST}, key=len, reverse=True))


def redact_substr(obj: Any, substr: str) -> Any:
    """Return a copy of `obj` (text, or lists, tuples, sets and mappings of it) with `substr` masked; other values as they are."""
    if isinstance(obj, str):
        return obj.replace(substr, MASK)
    if isinstance(obj, dict):
        mapping = cast("dict[Any, Any]", obj)
        return {redact_substr(key, substr): redact_substr(value, substr) for key, value in mapping.items()}
    if isinstance(obj, list | tuple | set):
        items = cast("list[Any]", obj)
        return type(items)(redact_substr(item, substr) for item in items)
    return obj


def redacted(text: str) -> str:
    """Return `text` without the secrets."""
    for secret in secrets():
        if secret in text:
            text = text.replace(secret, MASK)
    return text


class ObfuscateApiKeyFilter(logging.Filter):
    """Mask the API's credentials in the message and the arguments of every record. Lets all records pass.

    headrace's own handlers mask what they write without it (tracebacks included); it is for other handlers.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        for secret in secrets():
            record.msg = redact_substr(record.msg, secret)
            if record.args:
                record.args = redact_substr(record.args, secret)
        return True
