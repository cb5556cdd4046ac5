"""`Task.map`: one run for each element of the iterable arguments."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from headrace.data.annotations import BaseAnnotation, unmapped
from headrace.data.callables import collapse_variadic_parameters, explode_variadic_parameter, get_parameter_defaults
from headrace.engine.futures import HeadraceFuture
from headrace.engine.state_results import is_state, value_of_state
from headrace.model.errors import MappingLengthMismatch, MappingMissingIterable

if TYPE_CHECKING:
    from headrace.engine.task import Task


def expand(task: Task[..., Any], parameters: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
    """Yield the parameters of each run, in order.

    Lists, tuples, sets, dicts (their keys) and other iterables are mapped; text, bytes, scalars, defaults and `unmapped(x)` are the same for
    every run. Raises `MappingMissingIterable` when nothing is iterable and `MappingLengthMismatch` when lengths differ.
    """
    iterables, constants, lengths = _sort(explode_variadic_parameter(task.fn, parameters))
    if not iterables:
        raise MappingMissingIterable(
            f"No iterable parameters were received. Parameters for map must include at least one iterable. Parameters: {sorted(parameters)}"
        )
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(
            f"Received iterable parameters with different lengths. Parameters for map must all be the same length. Got lengths: {lengths}"
        )
    defaults = get_parameter_defaults(task.fn)
    for index in range(next(iter(lengths.values()))):
        one: dict[str, Any] = {name: _rewrap(original, values[index]) for name, (original, values) in iterables.items()}
        one.update(constants)
        for name, default in defaults.items():
            one.setdefault(name, default)
        yield collapse_variadic_parameters(task.fn, one)


def _sort(parameters: dict[str, Any]) -> tuple[dict[str, tuple[Any, list[Any]]], dict[str, Any], dict[str, int]]:
    iterables: dict[str, tuple[Any, list[Any]]] = {}
    constants: dict[str, Any] = {}
    for name, value in parameters.items():
        inner = value.unwrap() if isinstance(value, BaseAnnotation) else value
        if isinstance(value, unmapped):
            constants[name] = inner
            continue
        if isinstance(inner, HeadraceFuture):
            inner = inner.result()
        elif is_state(inner):
            inner = value_of_state(inner)
        if hasattr(inner, "__iter__") and not isinstance(inner, (str, bytes)):
            iterables[name] = (value, list(inner))
        else:
            constants[name] = value
    return iterables, constants, {name: len(values) for name, (_, values) in iterables.items()}


def _rewrap(original: Any, element: Any) -> Any:
    return type(original)(element) if isinstance(original, BaseAnnotation) else element
