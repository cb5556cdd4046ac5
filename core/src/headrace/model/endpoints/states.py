"""The states that runs went through."""

from __future__ import annotations

from uuid import UUID

from headrace.model.endpoints.base import Endpoint
from headrace.model.states import State

READ_FLOW_RUN_STATE: Endpoint[State] = Endpoint("GET", "/flow_run_states/{id}", "states", returns=State)
READ_FLOW_RUN_STATES: Endpoint[list[State]] = Endpoint("GET", "/flow_run_states/", "states", returns=list[State], query=(("flow_run_id", UUID),))
READ_TASK_RUN_STATE: Endpoint[State] = Endpoint("GET", "/task_run_states/{id}", "states", returns=State)
READ_TASK_RUN_STATES: Endpoint[list[State]] = Endpoint("GET", "/task_run_states/", "states", returns=list[State], query=(("task_run_id", UUID),))
