"""Front desk: flows. Finding them by entrypoint is imported when it is used, since code that only defines flows does not need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.engine.flow import Flow, FlowStateHook, flow

if TYPE_CHECKING:
    from headrace.deploy.flow_methods import FlowMethods
    from headrace.deploy.loading import (
        is_entrypoint_async,
        load_flow_arguments_from_entrypoint,
        load_flow_from_entrypoint,
        load_function_and_convert_to_flow,
        load_placeholder_flow,
        safe_load_flow_from_entrypoint,
        select_flow,
    )

__all__ = [
    "Flow",
    "FlowMethods",
    "FlowStateHook",
    "flow",
    "is_entrypoint_async",
    "load_flow_arguments_from_entrypoint",
    "load_flow_from_entrypoint",
    "load_function_and_convert_to_flow",
    "load_placeholder_flow",
    "safe_load_flow_from_entrypoint",
    "select_flow",
]


def __getattr__(name: str) -> Any:
    if name == "FlowMethods":
        from headrace.deploy.flow_methods import FlowMethods

        return FlowMethods
    if name in __all__:
        from headrace.deploy import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
