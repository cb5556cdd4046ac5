"""Hiding values that must not be shown, whatever their length."""

from __future__ import annotations

from typing import Any

_SHOWN_MAX = 4


def obfuscate_string(s: str, show_tail: bool = False) -> str:
    """Return eight characters in the place of `s`: stars, and with `show_tail` up to four of its last characters.

    Characters are shown only as far as ten others stay hidden.
    """
    shown = max(0, min(_SHOWN_MAX, len(s) - 10)) if show_tail else 0
    return "*" * (8 - shown) + (s[-shown:] if shown else "")


def obfuscate(s: Any, show_tail: bool = False) -> str:
    """Return eight characters in the place of any value's text; see `obfuscate_string`."""
    value = s.get_secret_value() if hasattr(s, "get_secret_value") else s
    return obfuscate_string(str(value), show_tail)
