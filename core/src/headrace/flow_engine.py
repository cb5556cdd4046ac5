"""Front desk: running flows directly."""

from headrace.deploy.child import run_flow_run_of_environment
from headrace.deploy.flow_process import load_flow, load_flow_and_flow_run, run_flow_in_subprocess
from headrace.engine.direct import (
    aload_flow_run,
    load_flow_run,
    run_flow,
    run_flow_async,
    run_flow_sync,
    run_generator_flow_async,
    run_generator_flow_sync,
)
from headrace.model.errors import FlowRunTimeoutError

__all__ = [
    "FlowRunTimeoutError",
    "aload_flow_run",
    "load_flow",
    "load_flow_and_flow_run",
    "load_flow_run",
    "run_flow",
    "run_flow_async",
    "run_flow_in_subprocess",
    "run_flow_run_of_environment",
    "run_flow_sync",
    "run_generator_flow_async",
    "run_generator_flow_sync",
]
