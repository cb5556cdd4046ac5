"""Routes of the inputs of flow runs."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.run_inputs import FilterFlowRunInputs, FlowRunInput, FlowRunInputCreate

CREATE_FLOW_RUN_INPUT: Endpoint[None] = Endpoint("POST", "/flow_runs/{id}/input", "run_inputs", FlowRunInputCreate, status=201)
FILTER_FLOW_RUN_INPUT: Endpoint[list[FlowRunInput]] = Endpoint(
    "POST", "/flow_runs/{id}/input/filter", "run_inputs", FilterFlowRunInputs, list[FlowRunInput]
)
READ_FLOW_RUN_INPUT: Endpoint[str] = Endpoint("GET", "/flow_runs/{id}/input/{key}", "run_inputs", returns=str, media_type="text/plain")
"""Answers the stored text as it is, as `text/plain`."""
DELETE_FLOW_RUN_INPUT: Endpoint[None] = Endpoint("DELETE", "/flow_runs/{id}/input/{key}", "run_inputs", status=204)
