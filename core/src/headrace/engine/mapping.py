"""`Task.map`: one run for each element of the iterable arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from headrace.data.callables import expand_mapping_parameters
from headrace.data.state_results import is_state, value_of_state
from headrace.engine.futures import HeadraceFuture

if TYPE_CHECKING:
    from headrace.engine.task import Task


def expand(task: Task[..., Any], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of each run, in order, as `expand_mapping_parameters` does; futures and states give what they left.

    Raises `MappingMissingIterable` when nothing is iterable and `MappingLengthMismatch` when lengths differ.
    """
    return expand_mapping_parameters(task.fn, parameters, _value)


def _value(given: Any) -> Any:
    if isinstance(given, HeadraceFuture):
        return cast("HeadraceFuture[Any]", given).result()
    return value_of_state(given) if is_state(given) else given
