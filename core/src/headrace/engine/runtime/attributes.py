"""Reading an attribute of the runtime: by its getter, unless a variable replaces it for a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from headrace.model.errors import near
from headrace.settings.environment import internal_name, runtime_override

Getters = Mapping[str, Callable[[], Any]]


def read(part: str, name: str, getters: Getters) -> Any:
    """Return the attribute `name` of `part` ("flow_run", "task_run", "deployment").

    A variable `HEADRACE__RUNTIME__<PART>__<NAME>` replaces it, as a value of the real one's type; lists and mappings cannot be
    replaced (`ValueError`). A name that only such a variable knows is text. Raises `AttributeError` for other names.
    """
    text = runtime_override(part, name)
    getter = getters.get(name)
    if getter is None:
        if text is None:
            hint = near(name, getters)
            raise AttributeError(f"module 'headrace.runtime.{part}' has no attribute {name!r}. {hint}".rstrip())
        return text
    value = getter()
    return value if text is None else _as_type_of(value, text, internal_name(f"RUNTIME__{part}__{name}".upper()))


def _as_type_of(value: Any, text: str, variable: str) -> Any:
    if isinstance(value, dict | list | set | tuple):
        kind = type(cast("object", value)).__name__
        raise ValueError(  # noqa: TRY004  # documented
            f"{variable} would replace a {kind}, but only single values can be replaced by a variable."
        )
    try:
        match value:
            case bool():
                return text.strip().lower() in ("1", "true", "yes", "on")
            case int() | float() | UUID():
                return type(value)(text)
            case datetime():
                moment = datetime.fromisoformat(text)
                return moment if moment.tzinfo is not None else moment.replace(tzinfo=value.tzinfo)
            case _:
                return text
    except ValueError as error:
        raise ValueError(f"{variable} is {text!r}, which is no {type(value).__name__}: {error}") from error
