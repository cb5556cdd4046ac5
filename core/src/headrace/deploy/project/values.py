"""The values of a deployment: what its placeholders stand for before its steps have run, and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.deploy.project.choice import Entry
from headrace.deploy.project.source import Path_, Problem
from headrace.deploy.templating import (
    GONE,
    KEPT,
    RUN_TIME_PREFIXES,
    Placeholder,
    PlaceholderType,
    aresolve_block_document_references,
    environment_value,
    find_placeholders,
    named_value,
    read_variable,
    substitute,
    variable_name,
)
from headrace.model.errors import near

_STEPS = ("build", "push", "pull")
_LATER = ("job_variables",)
"""Where the worker of a run looks blocks up, so that the server keeps no secret."""


def settled(entry: Entry) -> tuple[dict[str, Any], list[Problem]]:
    """Return a deployment's values with what can be known before its steps run, and what cannot be found, each with its line.

    Steps are filled in when they run. Outputs of steps stay as they are, blocks in job variables too, and in triggers whatever is unknown.
    """
    problems: list[Problem] = []
    has_steps = any(entry.data.get(key) for key in ("build", "push"))
    data: dict[str, Any] = {}
    for key, value in entry.data.items():
        data[key] = value if key in _STEPS else _settled(entry, (key,), value, has_steps, problems)
    return data, problems


def _settled(entry: Entry, path: Path_, value: Any, has_steps: bool, problems: list[Problem]) -> Any:
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        return {key: _settled(entry, (*path, key), item, has_steps, problems) for key, item in mapping.items()}
    if isinstance(value, list):
        return [_settled(entry, (*path, index), item, has_steps, problems) for index, item in enumerate(cast("list[Any]", value))]
    if not isinstance(value, str) or not find_placeholders(value):
        return value
    missing: list[str] = []

    def resolve(one: Placeholder) -> Any:
        found = _early(one, path, has_steps)
        if found is GONE:
            missing.append(_not_found(one))
        return found

    try:
        new = substitute(value, resolve, is_strict=True)
    except ValueError as error:
        missing.append(str(error))
        new = None
    problems += [entry.problem(path, message) for message in missing]
    return None if missing else new


def _early(one: Placeholder, path: Path_, has_steps: bool) -> Any:
    match one.type:
        case PlaceholderType.ENV_VAR:
            return environment_value(one)
        case PlaceholderType.VARIABLE:
            return drive(read_variable(current_client(), variable_name(one.name)))
        case PlaceholderType.BLOCK_DOCUMENT:
            is_later = path[0] == "triggers" or set(path) & set(_LATER)
            return KEPT if is_later else drive(aresolve_block_document_references(one.full_match))
        case PlaceholderType.STANDARD:
            is_later = has_steps or path[0] == "triggers" or one.name.startswith(RUN_TIME_PREFIXES)
            return KEPT if is_later else GONE


def _not_found(one: Placeholder) -> str:
    match one.type:
        case PlaceholderType.ENV_VAR:
            return f"The environment variable {one.name[1:]} is not set, so {one.full_match} stands for nothing. Set it, or take the placeholder out."
        case PlaceholderType.VARIABLE:
            name = variable_name(one.name)
            return f"There is no variable {name!r}. Set it with `headrace variable set {name} VALUE`, or take {one.full_match} out."
        case _:
            return f"{one.full_match} stands for the output of a step, but no build or push step runs for this deployment."


def before_steps(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those that steps will bring, to see whether the rest is right."""

    def resolve(one: Placeholder) -> Any:
        is_output = one.type is PlaceholderType.STANDARD and not one.name.startswith(RUN_TIME_PREFIXES)
        return GONE if is_output else KEPT

    kept = {key: value for key, value in data.items() if key in (*_STEPS, "triggers")}
    rest = {key: value for key, value in data.items() if key not in kept}
    return {**substitute(rest, resolve), **kept}


def after_steps(entry: Entry, data: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values with the outputs of the steps put in, and which placeholders stand for none of them."""
    problems: list[Problem] = []

    def resolve(one: Placeholder) -> Any:
        if one.type is not PlaceholderType.STANDARD or one.name.startswith(RUN_TIME_PREFIXES):
            return KEPT
        found = named_value(outputs, one)
        if found is GONE:
            known = ", ".join(sorted(outputs)) or "nothing"
            hint = near(one.name.split(".")[0], list(outputs)) or f"They gave: {known}."
            problems.append(entry.problem(_place(entry.data, one.full_match), f"No step gave {one.full_match}. {hint}"))
        return found

    rest = {key: value for key, value in data.items() if key not in (*_STEPS, "triggers")}
    kept = {key: value for key, value in data.items() if key in ("build", "push", "triggers")}
    pull = {"pull": pull_steps(data["pull"], outputs)} if "pull" in data else {}
    return {**substitute(rest, resolve), **kept, **pull}, problems


def pull_steps(steps: Any, outputs: Mapping[str, Any]) -> Any:
    """Return pull steps with outputs of build and push steps put in. All other placeholders stay for the run."""

    def resolve(one: Placeholder) -> Any:
        found = named_value(outputs, one) if one.type is PlaceholderType.STANDARD else KEPT
        return KEPT if found is GONE else found

    return substitute(steps, resolve)


def _place(data: Any, text: str) -> Path_:
    return next((path for path, value in _leaves(data, ()) if isinstance(value, str) and text in value), ())


def _leaves(data: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    if isinstance(data, dict):
        for key, value in cast("dict[str, Any]", data).items():
            yield from _leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(cast("list[Any]", data)):
            yield from _leaves(value, (*path, index))
    else:
        yield path, data
