"""Front desk: flows. What needs more than the engine is imported when it is used, since code that only defines flows does not need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.engine.flow import Flow, FlowDecorator, FlowStateHook, flow

if TYPE_CHECKING:
    from headrace.deploy.bundles.submission import InfrastructureBoundFlow, bind_flow_to_infrastructure
    from headrace.deploy.child import load_flow_from_flow_run
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
    from headrace.deploy.serving import aserve, serve

__all__ = [
    "Flow",
    "FlowDecorator",
    "FlowMethods",
    "FlowStateHook",
    "InfrastructureBoundFlow",
    "aserve",
    "bind_flow_to_infrastructure",
    "flow",
    "is_entrypoint_async",
    "load_flow_arguments_from_entrypoint",
    "load_flow_from_entrypoint",
    "load_flow_from_flow_run",
    "load_function_and_convert_to_flow",
    "load_placeholder_flow",
    "safe_load_flow_from_entrypoint",
    "select_flow",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("InfrastructureBoundFlow", "bind_flow_to_infrastructure"):
        from headrace.deploy.bundles import submission

        return getattr(submission, name)
    from headrace.deploy import flow_door

    return getattr(flow_door, name)
