"""Turning text into values of a declared type and back. Knows the forms that people write in environment variables."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from headrace.settings.declaration import Declaration

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MASK = "********"
_TEXT_TYPES = (str, str | None, Path)
_DURATION = r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?"
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TRUTH = frozenset({"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"})


class BrokenRule(ValueError):
    """A value does not fit its setting; the text is the rule alone, without the value."""


def parse(declared: Declaration, raw: object) -> object:
    """Return `raw` as the type that the setting declares.

    Text is read as in an environment variable: lists and sets from commas or JSON, durations from seconds, `2d`,
    `HH:MM:SS` or ISO 8601, "none" where None is allowed and text is not. Raises `BrokenRule`.
    """
    hint = declared.hint
    if isinstance(raw, str) and hint in _TEXT_TYPES:  # most of what a small run sets: not worth importing pydantic
        return _path(Path(raw.strip())) if hint is Path else raw
    from pydantic import ValidationError

    shaped = _shape(raw, hint)
    try:
        value = _adapter(hint).validate_python(shaped)
    except ValidationError as error:
        rules = dict.fromkeys(str(problem["msg"]).removeprefix("Input ") for problem in error.errors(include_url=False))
        raise BrokenRule("; or ".join(rules)) from None
    _check_bounds(declared, value)
    return _path(value) if isinstance(value, Path) else value


def _path(path: Path) -> Path:
    """Return an absolute path: a flow that changes its working directory must not lose its files."""
    return path.expanduser().absolute()


@lru_cache(maxsize=256)
def _adapter(hint: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(hint)


def _check_bounds(declared: Declaration, value: object) -> None:
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        return
    unit = " seconds" if isinstance(value, timedelta) else ""
    if declared.ge is not None and number < declared.ge:
        raise BrokenRule(f"should be at least {declared.ge:g}{unit}")
    if declared.le is not None and number > declared.le:
        raise BrokenRule(f"should be at most {declared.le:g}{unit}")


def _shape(raw: object, hint: Any) -> object:
    """Give text the shape of the hint; what the words mean is left to validation."""
    choices = _choices(hint)
    if isinstance(raw, Mapping):
        of_dict = _first(choices, dict)
        items: Mapping[Any, Any] = raw  # pyright: ignore[reportUnknownVariableType]  # users' values
        return {key: _shape(item, get_args(of_dict)[1]) for key, item in items.items()} if of_dict else items
    many = _first(choices, list, set)
    if isinstance(raw, list | set | tuple):
        members: list[Any] = list(raw)  # pyright: ignore[reportUnknownArgumentType]  # users' values
        return [_shape(member, get_args(many)[0]) for member in members] if many else members
    if not isinstance(raw, str):
        return [raw] if many and raw is not None and _only_collections(choices) and not isinstance(raw, bool) else raw
    return _shape_text(raw, choices, many)


def _shape_text(text: str, choices: tuple[Any, ...], many: Any) -> object:
    stripped = text.strip()
    literal = _first(choices, Literal)
    if literal:  # levels and other closed choices: case does not matter
        return next((choice for choice in get_args(literal) if choice.lower() == stripped.lower()), stripped)
    is_text = any(choice is str or getattr(choice, "__name__", "") == "SecretStr" for choice in choices)
    if type(None) in choices and not is_text and stripped.lower() in ("none", "null"):
        return None
    if bool in choices and stripped.lower() in _TRUTH:
        return stripped
    if _first(choices, dict) and stripped.startswith("{"):
        return _shape(_json(stripped), _first(choices, dict))
    if many and (stripped.startswith("[") or "," in stripped or _only_collections(choices)):
        parts = _json(stripped) if stripped.startswith("[") else [part.strip() for part in stripped.split(",")]
        return _shape([part for part in parts if part != ""], many)
    if timedelta in choices:
        matched = re.fullmatch(_DURATION, stripped)
        if matched:
            return timedelta(seconds=float(matched[1]) * _UNIT_SECONDS[matched[2] or "s"])
    return text if is_text else stripped


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _first(choices: tuple[Any, ...], *origins: Any) -> Any:
    return next((choice for choice in choices if get_origin(choice) in origins), None)


def _only_collections(choices: tuple[Any, ...]) -> bool:
    """True if a single word can only mean a collection with one member."""
    return all(choice in (type(None), bool) or get_origin(choice) in (list, set) for choice in choices)


def _json(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BrokenRule(f"should be valid JSON: {error.msg} at character {error.pos + 1}") from None


def to_json(value: object, *, include_secrets: bool = False) -> Any:
    """Return a value as JSON can hold it: paths as text, durations in ISO 8601, secrets masked."""
    secret = getattr(value, "get_secret_value", None)
    if secret is not None:
        return secret() if include_secrets else MASK
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, set):
        return sorted(str(member) if not isinstance(member, int) else member for member in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # as the file has it
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)


def to_text(value: object) -> str:
    """Return the text that `parse` reads back as this value, for variables and profiles. Secrets come out plain."""
    secret = getattr(value, "get_secret_value", None)
    if secret is not None:
        return str(secret())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Path):
        return str(value)
    if isinstance(value, timedelta):
        return str(value.total_seconds()).removesuffix(".0")
    import json

    return json.dumps(to_json(value))
