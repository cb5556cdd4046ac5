"""Finding flows by entrypoint: `path/file.py:function`, `path/file.py:Class.method`, `package.module.function`, `package.module:function`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from headrace.data.importing import import_object
from headrace.deploy.loading_source import FlowSource, find_source
from headrace.engine.flow import Flow
from headrace.model.errors import MissingFlowError, ScriptError, UnspecifiedFlowError, near


def load_flow_from_entrypoint(entrypoint: str, use_placeholder_flow: bool = True) -> Flow[..., Any]:
    """Run the code at an entrypoint and return its flow.

    When the code cannot be imported (as where its packages are not installed), the answer is a placeholder with the flow's name, options
    and parameters, read from the source; calling it raises what the import raised. Without `use_placeholder_flow` that is raised here:
    `ScriptError` for a script, `ImportError` for a module. Raises `FileNotFoundError` for a script that does not exist and
    `MissingFlowError` for a name that is absent or no flow.
    """
    try:
        found = _load(entrypoint)
    except (ScriptError, ImportError) as error:
        if use_placeholder_flow and find_source(entrypoint) is not None:
            return load_placeholder_flow(entrypoint, error)
        raise
    if not isinstance(found, Flow):
        raise _no_flow(entrypoint, found)
    return cast("Flow[..., Any]", found)


def load_function_and_convert_to_flow(entrypoint: str) -> Flow[..., Any]:
    """Return the flow at an entrypoint; a plain function there is made a flow that logs its prints. Raises as `load_flow_from_entrypoint`."""
    found = _load(entrypoint)
    if isinstance(found, Flow):
        return cast("Flow[..., Any]", found)
    if not callable(found):
        raise MissingFlowError(f"{entrypoint!r} names a {type(found).__name__}, which is neither a flow nor a function.")
    return Flow(found, log_prints=True)


def safe_load_flow_from_entrypoint(entrypoint: str) -> Flow[..., Any] | None:
    """Return the flow at an entrypoint, a placeholder for it if it cannot be imported, or None when there is neither."""
    try:
        return load_flow_from_entrypoint(entrypoint)
    except Exception:  # noqa: BLE001  # users' code may raise anything while it is imported
        return None


def load_placeholder_flow(entrypoint: str, raises: BaseException) -> Flow[..., Any]:
    """Return a flow with the name, options and parameters that the source at an entrypoint declares; calling it raises `raises`."""
    source = _source_of(entrypoint)
    return source.placeholder(raises)


def load_flow_arguments_from_entrypoint(entrypoint: str, arguments: set[str] | None = None) -> dict[str, Any]:
    """Return the arguments of the `@flow` decorator at an entrypoint, read from the source without importing it.

    `name` and `description` are those that the flow would have by default, where they are not given. `arguments` limits what is
    looked for; by default the options that are plain values are. What cannot be evaluated from the source is left out.
    """
    return _source_of(entrypoint).options(arguments)


def is_entrypoint_async(entrypoint: str) -> bool:
    """Say whether the function at an entrypoint is declared with `async def`; nothing is imported."""
    return _source_of(entrypoint).is_async


def select_flow(flows: Iterable[Flow[..., Any]], flow_name: str | None = None, from_message: str | None = None) -> Flow[..., Any]:
    """Return the flow named `flow_name`, or the only one.

    `from_message` says in errors where the flows come from. Raises `MissingFlowError` when there is none (of that name), and
    `UnspecifiedFlowError` when there are several and no name is given.
    """
    by_name = {flow.name: flow for flow in flows}
    place = f" {from_message}" if from_message else ""
    if not by_name:
        raise MissingFlowError(f"No flows found{place}.")
    if flow_name is not None:
        if flow_name not in by_name:
            raise MissingFlowError(f"Flow {flow_name!r} not found{place}. {near(flow_name, by_name) or f'Found: {_listed(by_name)}.'}")
        return by_name[flow_name]
    if len(by_name) > 1:
        raise UnspecifiedFlowError(f"Found {len(by_name)} flows{place}: {_listed(by_name)}. Name the one to use.")
    return next(iter(by_name.values()))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))


def _load(entrypoint: str) -> Any:
    script, colon, _ = entrypoint.rpartition(":")
    if colon and script.endswith(".py") and not Path(script).is_file():
        raise FileNotFoundError(f"There is no file {script!r}, which the entrypoint {entrypoint!r} names. Paths start at {str(Path.cwd())!r}.")
    if not colon and entrypoint.endswith(".py"):
        raise MissingFlowError(f"{entrypoint!r} names no flow. Add one: '{entrypoint}:my_flow'.")
    try:
        return import_object(entrypoint)
    except AttributeError as error:
        owner: Any = getattr(error, "obj", None)
        hint = near(error.name or "", _flow_names(owner)) if owner is not None else ""
        raise MissingFlowError(f"Flow function not found: {entrypoint!r} names nothing. {hint}".rstrip()) from error


def _flow_names(owner: Any) -> list[str]:
    names = cast("dict[str, Any]", getattr(owner, "__dict__", {}))
    return [name for name, value in names.items() if isinstance(value, Flow)]


def _no_flow(entrypoint: str, found: Any) -> MissingFlowError:
    kind = "function" if callable(found) and hasattr(found, "__name__") else type(found).__name__
    return MissingFlowError(f"{entrypoint!r} names a {kind}, not a flow. Decorate it with `@flow`, or name a flow.")


def _source_of(entrypoint: str) -> FlowSource:
    source = find_source(entrypoint)
    if source is None:
        raise MissingFlowError(f"Could not find the source of the flow at {entrypoint!r}.")
    return source
