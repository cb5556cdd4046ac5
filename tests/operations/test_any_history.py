"""What stays true of runs whatever is proposed, and whoever proposes it at once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.client.bridge import drive
from headrace.client.embedded import EmbeddedClient
from headrace.model.endpoints import flow_runs, flows, states, task_runs
from headrace.model.flow_runs import FlowRunCreate, FlowRunPolicy
from headrace.model.flows import FlowCreate
from headrace.model.orchestration import SetState
from headrace.model.states import TERMINAL_STATES, StateCreate, StateType
from headrace.model.task_runs import TaskRunCreate, TaskRunPolicy
from headrace.store.database import Database

PROPOSALS = st.lists(st.tuples(st.sampled_from(list(StateType)), st.booleans(), st.sampled_from([None, {"k": 1}])), max_size=25)
UNHURRIED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(call: Callable[..., Any], kind: str, run_id: Any, answers: list[Any]) -> None:
    """Compare the run's row with the states that were written and with what was answered."""
    if kind == "flow_run":
        run, history = call(flow_runs.READ_FLOW_RUN, id=run_id), call(states.READ_FLOW_RUN_STATES, flow_run_id=run_id)
    else:
        run, history = call(task_runs.READ_TASK_RUN, id=run_id), call(states.READ_TASK_RUN_STATES, task_run_id=run_id)
    assert run.state == history[-1]
    assert (run.state_id, run.state_type, run.state_name) == (run.state.id, run.state.type, run.state.name)
    assert all(first.timestamp < second.timestamp for first, second in pairwise(history))
    ran = sum(
        (second.timestamp - first.timestamp for first, second in pairwise(history) if first.type is StateType.RUNNING),
        timedelta(),
    )
    assert run.total_run_time == ran
    assert (run.end_time is not None) == (run.state.type in TERMINAL_STATES)
    assert run.end_time is None or run.start_time <= run.end_time
    assert run.run_count <= sum(state.type is StateType.RUNNING for state in history)
    assert all(answer.state in history for answer in answers)
    told = [answer.state.id for answer in answers if answer.status in ("ACCEPT", "REJECT")]
    assert set(told) | {history[0].id} == {state.id for state in history}


@UNHURRIED
@given(PROPOSALS, st.integers(0, 2))
def test_flow_run_row_tells_what_its_states_tell(proposals: list[tuple[StateType, bool, Any]], retries: int) -> None:
    client = EmbeddedClient(Database("sqlite://"))

    def call(endpoint: Any, body: Any = None, **parameters: Any) -> Any:
        return drive(client.call(endpoint, body, **parameters))

    flow = call(flows.CREATE_FLOW, FlowCreate(name="f"))
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, empirical_policy=FlowRunPolicy(retries=retries)))
    answers = [
        call(flow_runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=kind, data=data), force=force), id=run.id)
        for kind, force, data in proposals
    ]
    check(call, "flow_run", run.id, answers)


@UNHURRIED
@given(PROPOSALS, st.integers(0, 2))
def test_task_run_row_tells_what_its_states_tell(proposals: list[tuple[StateType, bool, Any]], retries: int) -> None:
    client = EmbeddedClient(Database("sqlite://"))

    def call(endpoint: Any, body: Any = None, **parameters: Any) -> Any:
        return drive(client.call(endpoint, body, **parameters))

    run = call(task_runs.CREATE_TASK_RUN, TaskRunCreate(task_key="t", dynamic_key="0", empirical_policy=TaskRunPolicy(retries=retries)))
    answers = [
        call(task_runs.SET_TASK_RUN_STATE, SetState(state=StateCreate(type=kind, data=data), force=force), id=run.id)
        for kind, force, data in proposals
    ]
    check(call, "task_run", run.id, answers)


RACER = """
    import sys
    from uuid import UUID
    from headrace.client.bridge import drive
    from headrace.client.connect import current_client
    from headrace.model.endpoints.flow_runs import SET_FLOW_RUN_STATE
    from headrace.model.orchestration import SetState
    from headrace.model.states import StateCreate
    body = SetState(state=StateCreate(type="PENDING"))
    sys.stdin.readline()
    print(drive(current_client().call(SET_FLOW_RUN_STATE, body, id=UUID(sys.argv[1]))).status)
"""


def test_of_many_processes_only_one_gets_the_run(call: Callable[..., Any]) -> None:
    flow = call(flows.CREATE_FLOW, FlowCreate(name="f"))
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, state=StateCreate(type=StateType.SCHEDULED)))
    racers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(RACER), str(run.id)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert sorted(answers) == ["ABORT"] * 4 + ["ACCEPT"]
