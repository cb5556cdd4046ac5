"""What a run depends on: futures and states in its arguments and in `wait_for`, and values that came out of earlier runs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from headrace.engine.futures import HeadraceFuture, HeadraceFutureList
from headrace.model.errors import HeadraceException, UpstreamTaskError

if TYPE_CHECKING:
    from headrace.data.task_record import TaskRecord
    from headrace.engine.context import FlowRunContext
    from headrace.engine.ports import Ports

PLAIN = frozenset({int, str, float, bool, bytes, type(None), complex})
"""Types that hold no other object: the common case is told by type alone."""

ORIGINS_MAX = 1_000
"""How many values of a flow run are remembered with the task run that returned them."""


def is_plain(values: Mapping[str, Any]) -> bool:
    """Say whether none of the arguments can hold a future or a state."""
    return all(type(value) in PLAIN for value in values.values())


def find_futures(expr: Any) -> list[HeadraceFuture[Any]]:
    """Return every future in `expr`, however deep; `quote(…)` is not looked into, `opaque(…)` at its top only."""
    found: list[HeadraceFuture[Any]] = []
    if type(expr) not in PLAIN:

        def see(value: Any, _failures_allowed: bool) -> None:
            if isinstance(value, HeadraceFuture):
                found.append(cast("HeadraceFuture[Any]", value))

        _visit(expr, see)
    return found


def futures_in(parameters: Mapping[str, Any], wait_for: Iterable[Any] | None) -> list[HeadraceFuture[Any]]:
    """Return every future in the arguments of a run and in what it waits for. Raises `TypeError` for what cannot be looked into."""
    found: list[HeadraceFuture[Any]] = []
    for name, value in parameters.items():
        if type(value) not in PLAIN:
            with _named(name, value):
                found += find_futures(value)
    return found + find_futures(list(wait_for)) if wait_for else found


def listed(wait_for: Any) -> list[Any] | None:
    """Return what a run waits for as a list: one future, state or annotation may be given without one."""
    if wait_for is None:
        return None
    from headrace.data.annotations import BaseAnnotation

    if isinstance(wait_for, (HeadraceFuture, BaseAnnotation, *_state_types())):
        return [wait_for]
    return list(cast("Iterable[Any]", wait_for)) or None


@contextmanager
def _named(name: str, value: Any) -> Generator[None, None, None]:
    """Say which parameter could not be looked into."""
    try:
        yield
    except (HeadraceException, ValueError):
        raise
    except Exception as error:
        raise TypeError(
            f"headrace could not look for upstream runs in parameter {name!r} of type {type(value).__name__}: {error!r}. "
            "Wrap the value in `quote(…)` or `opaque(…)` to pass it on untouched."
        ) from error


def _visit(expr: Any, see: Any) -> Any:
    """Visit `expr` and call `see(value, failures allowed)` for futures and states; it raises `StopVisiting(other)` to replace one."""
    from headrace.data.annotations import allow_failure, opaque, quote
    from headrace.data.collections import StopVisiting, visit_collection

    def visit(value: Any, context: dict[str, Any]) -> Any:
        annotation = context.get("annotation")
        if isinstance(annotation, quote):
            raise StopVisiting
        if isinstance(value, (HeadraceFuture, *_state_types())):
            see(value, isinstance(annotation, allow_failure))
            raise StopVisiting
        if isinstance(annotation, opaque):
            raise StopVisiting
        return value

    return visit_collection(expr, visit, return_data=True, context={}, remove_annotations=True)


def _state_types() -> tuple[type, ...]:
    import sys

    states = sys.modules.get("headrace.model.states")  # no State object can exist before its module was imported
    return (states.State,) if states is not None else ()


async def wait_for_upstream(parameters: Mapping[str, Any], wait_for: Iterable[Any] | None, ports: Ports, record: TaskRecord | None) -> None:
    """Wait until every run that is depended on has ended. Raises `ValueError` for a run that would wait for itself."""
    from headrace.engine.context import current

    futures = futures_in(parameters, wait_for)
    if not futures:
        return
    enclosing = current().task
    own = {record.id_text} if record is not None else set[str]()
    if enclosing is not None:
        own.add(enclosing.record.id_text)
    for future in futures:
        if str(future.task_run_id) in own:
            raise ValueError(
                f"Discovered a task depending on itself: task run {future.name!r} would wait for its own end. "
                "Do not pass a task run's own future to a task that runs inside it."
            )
        await ports.wait_for(future)


def resolve_parameters(parameters: dict[str, Any], frame: FlowRunContext | None) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Put values in the place of futures and states. Returns (values, where each came from, by parameter).

    Raises `UpstreamTaskError` for a run that did not complete, unless wrapped in `allow_failure`: then its exception takes its place.
    """
    values: dict[str, Any] = {}
    inputs: dict[str, list[dict[str, Any]]] = {}
    for name, value in parameters.items():
        sources: list[dict[str, Any]] = []
        if type(value) in PLAIN:
            values[name] = value
        else:
            values[name] = _resolve(name, value, sources)
        if frame is not None and not sources:
            origin = origin_of(value, frame)
            if origin is not None:
                sources.append({"input_type": "task_run", "id": origin})
        inputs[name] = sources
    return values, inputs


def _resolve(name: str, value: Any, sources: list[dict[str, Any]]) -> Any:
    from headrace.data.collections import StopVisiting
    from headrace.data.state_results import value_of_state
    from headrace.engine.final_states import exception_or_data, value_of_future

    def see(upstream: Any, failures_allowed: bool) -> Any:
        state = upstream.state if isinstance(upstream, HeadraceFuture) else upstream  # pyright: ignore[reportUnknownMemberType]  # its value may be of any type
        run_id = state.state_details.task_run_id
        if run_id is not None:
            sources.append({"input_type": "task_run", "id": str(run_id)})
        if state.is_completed():
            found = value_of_future(upstream) if isinstance(upstream, HeadraceFuture) else value_of_state(upstream)  # pyright: ignore[reportUnknownArgumentType]  # its value may be of any type
            raise StopVisiting(found)
        if failures_allowed:
            raise StopVisiting(exception_or_data(upstream))
        raise UpstreamTaskError(f"Upstream task run '{run_id}' did not reach a 'COMPLETED' state.")

    with _named(name, value):
        return _visit(value, see)


def check_wait_for(wait_for: Iterable[Any] | None) -> list[dict[str, Any]]:
    """Require that everything waited for has completed (or is wrapped in `allow_failure`); return where it came from."""
    sources: list[dict[str, Any]] = []
    if not wait_for:
        return sources

    def see(upstream: Any, failures_allowed: bool) -> None:
        state = upstream.state if isinstance(upstream, HeadraceFuture) else upstream  # pyright: ignore[reportUnknownMemberType]  # its value may be of any type
        run_id = state.state_details.task_run_id
        if run_id is not None:
            sources.append({"input_type": "task_run", "id": str(run_id)})
        if not (state.is_completed() or failures_allowed):
            raise UpstreamTaskError(f"Upstream task run '{run_id}' did not reach a 'COMPLETED' state.")

    _visit(list(wait_for), see)
    return sources


# --- lineage by identity: a value that a task returned and that is passed on as itself -----------------------------------------

_UNTRACKED = PLAIN | {type(...), type}


def remember_origin(value: Any, record: TaskRecord, frame: FlowRunContext) -> None:
    """Remember that `value` came out of this task run. Numbers, text and the like are shared by everybody, so they are not tracked."""
    if type(value) in _UNTRACKED or isinstance(value, (HeadraceFuture, HeadraceFutureList)):
        return
    origins = frame.origins
    while len(origins) >= ORIGINS_MAX:
        try:
            origins.pop(next(iter(origins)), None)
        except (StopIteration, RuntimeError):
            break  # another thread made room at the same moment
    origins[id(value)] = (value, record.id_text)


def origin_of(value: Any, frame: FlowRunContext) -> str | None:
    """Return the id of the task run that returned this very object in this flow run, if it is known."""
    known = frame.origins.get(id(value))
    return known[1] if known is not None and known[0] is value else None
