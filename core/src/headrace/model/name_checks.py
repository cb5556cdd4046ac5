"""The checks of names that several nouns share. Each returns the value, or raises `ValueError` that begins with `field_name`."""

from __future__ import annotations

import re
from typing import TypeVar

Name = TypeVar("Name", str, "str | None")

_DASHES = re.compile(r"[a-z0-9-]*")
_UNDERSCORES = re.compile(r"[a-z0-9_]*")
_DASHES_AND_UNDERSCORES = re.compile(r"[a-z0-9_-]+")


def raise_on_name_alphanumeric_dashes_only(value: Name, field_name: str = "value") -> Name:
    """Allow lower-case letters, digits and dashes; None and empty text pass."""
    return _checked(value, _DASHES, f"{field_name} must only contain lowercase letters, numbers, and dashes.")


def raise_on_name_alphanumeric_underscores_only(value: Name, field_name: str = "value") -> Name:
    """Allow lower-case letters, digits and underscores; None and empty text pass."""
    return _checked(value, _UNDERSCORES, f"{field_name} must only contain lowercase letters, numbers, and underscores.")


def raise_on_name_alphanumeric_dashes_underscores_only(value: str, field_name: str = "value") -> str:
    """Allow lower-case letters, digits, dashes and underscores, at least one of them."""
    return _checked(value, _DASHES_AND_UNDERSCORES, f"{field_name} must only contain lowercase letters, numbers, and dashes or underscores.")


def _checked(value: Name, allowed: re.Pattern[str], message: str) -> Name:
    if value is not None and not allowed.fullmatch(value):
        raise ValueError(message)
    return value
