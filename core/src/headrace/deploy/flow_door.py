"""What `headrace.flows` gives of this room, in one place, imported when the first of it is used."""

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
    "FlowMethods",
    "aserve",
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
