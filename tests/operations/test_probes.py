"""Sequences of proposals that were put to a server of the documented interface, and what it answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from headrace.model import clock, ids
from headrace.model.endpoints import flow_runs, flows, task_runs
from headrace.model.flow_runs import FlowRunCreate, FlowRunPolicy
from headrace.model.flows import FlowCreate
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.task_runs import TaskRunCreate, TaskRunPolicy

Call = Callable[..., Any]
ONCE = ids.new()

FLOW_RUN: list[tuple[str, dict[str, Any], str, str | None, str]] = [
    # proposed (! = forced), its details, status, reason, name of the state answered
    ("PENDING", {}, "ABORT", "This run is in a PENDING state and cannot transition to a PENDING state.", "Pending"),
    ("SCHEDULED", {"scheduled_time": 60}, "ACCEPT", None, "Scheduled"),
    ("RUNNING", {}, "WAIT", "Scheduled time is in the future", "Scheduled"),
    ("CANCELLING", {}, "REJECT", "Scheduled flow run has no infrastructure to terminate.", "Cancelled"),
    ("PENDING", {}, "ABORT", "This run is in a CANCELLED state and cannot transition to a PENDING state.", "Cancelled"),
    ("SCHEDULED", {}, "ABORT", "Cannot reschedule a run without an associated deployment.", "Cancelled"),
    ("RUNNING", {"transition_id": ONCE}, "ACCEPT", None, "Running"),
    ("RUNNING", {"transition_id": ONCE}, "REJECT", "This run has already made this state transition.", "Running"),
    ("PENDING", {}, "ABORT", "This run is in a RUNNING state and cannot transition to a PENDING state.", "Running"),
    ("PAUSED", {"pause_reschedule": True}, "ABORT", "Cannot pause flows without a deployment.", "Running"),
    ("PAUSED", {"pause_key": "p1", "pause_timeout": 60}, "ACCEPT", None, "Paused"),
    ("PENDING", {}, "REJECT", "This run cannot transition to the PENDING state from the PAUSED state.", "Paused"),
    ("resume", {}, "ACCEPT", None, "Running"),
    ("resume", {}, "ABORT", "Cannot resume a flow run that is not paused.", ""),
    ("PAUSED", {"pause_key": "p1"}, "REJECT", "This pause has already fired.", "Running"),
    ("CANCELLING", {}, "ACCEPT", None, "Cancelling"),
    ("COMPLETED", {}, "REJECT", "Cannot transition flows that are cancelling to a state other than Cancelled.", "Cancelling"),
    ("COMPLETED!", {"data": {"storage_key": "x"}}, "ACCEPT", None, "Completed"),
    ("RUNNING", {}, "REJECT", "Run is already COMPLETED.", "Completed"),
    ("CRASHED", {}, "ABORT", "Run is already in terminal state COMPLETED.", "Completed"),
    ("FAILED!", {}, "ACCEPT", None, "Failed"),
]


def body(kind: str, details: dict[str, Any]) -> SetState:
    values = {name: clock.now() + timedelta(seconds=value) if isinstance(value, int) and value > 1 else value for name, value in details.items()}
    data = values.pop("data", None)
    state = StateCreate(type=StateType(kind.rstrip("!")), data=data, state_details=StateDetails(**values))
    return SetState(state=state, force=kind.endswith("!"))


def test_long_life_of_a_flow_run(call: Call) -> None:
    flow = call(flows.CREATE_FLOW, FlowCreate(name="probe"))
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id))
    for kind, details, status, reason, name in FLOW_RUN:
        if kind == "resume":
            answer = call(flow_runs.RESUME_FLOW_RUN, id=run.id)
        else:
            answer = call(flow_runs.SET_FLOW_RUN_STATE, body(kind, details), id=run.id)
        given = answer.details.model_dump()
        assert (answer.status, given.get("reason"), answer.state.name if answer.state else "") == (status, reason, name), kind
        assert status != "WAIT" or given["delay_seconds"] == 60
    found = call(flow_runs.READ_FLOW_RUN, id=run.id)
    assert (found.run_count, found.empirical_policy.pause_keys) == (1, {"p1"})
    assert found.start_time < found.end_time


def test_flow_run_with_one_retry(call: Call) -> None:
    flow = call(flows.CREATE_FLOW, FlowCreate(name="probe"))
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, empirical_policy=FlowRunPolicy(retries=1, retry_delay=0)))
    answers = [call(flow_runs.SET_FLOW_RUN_STATE, body(kind, {}), id=run.id) for kind in ("RUNNING", "FAILED", "RUNNING", "FAILED")]
    assert [(answer.status, answer.state.name) for answer in answers] == [
        ("ACCEPT", "Running"),
        ("REJECT", "AwaitingRetry"),
        ("ACCEPT", "Running"),
        ("ACCEPT", "Failed"),
    ]


def test_task_run_outside_a_flow_with_one_retry(call: Call) -> None:
    policy = TaskRunPolicy(retries=1, retry_delay=[5])
    run = call(task_runs.CREATE_TASK_RUN, TaskRunCreate(task_key="tk2", dynamic_key="1", empirical_policy=policy))
    assert call(task_runs.SET_TASK_RUN_STATE, body("RUNNING", {}), id=run.id).status == "ACCEPT"
    answer = call(task_runs.SET_TASK_RUN_STATE, body("FAILED", {}), id=run.id)
    assert (answer.status, answer.state.name, answer.details.model_dump()["reason"]) == ("REJECT", "AwaitingRetry", "Retrying")
    assert answer.state.state_details.scheduled_time - answer.state.timestamp == timedelta(seconds=5)
