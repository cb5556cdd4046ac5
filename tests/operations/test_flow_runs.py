"""Flow runs through the client: creating, moving, listing, charting, deleting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.model import clock, ids
from headrace.model.endpoints import flow_runs, flows, logs, owners, run_inputs, states, task_runs
from headrace.model.errors import InvalidRequest, ObjectNotFound
from headrace.model.flow_runs import FlowRun, FlowRunCreate, FlowRunPolicy, FlowRunSort, FlowRunUpdate
from headrace.model.flows import FlowCreate
from headrace.model.logs import LogCreate
from headrace.model.orchestration import OrchestrationResult, ResumeRun, SetState
from headrace.model.run_filters import FlowFilter, FlowRunFilter, TaskRunFilter
from headrace.model.run_inputs import FlowRunInputCreate
from headrace.model.run_queries import (
    FlowRunBulkDelete,
    FlowRunBulkSetState,
    FlowRunPageQuery,
    FlowRunQuery,
    HistoryQuery,
    RunScope,
)
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.task_runs import TaskRunCreate, TaskRunResult
from headrace.settings import HEADRACE_SERVER_API_DEFAULT_LIMIT, HEADRACE_SERVER_FLOW_RUN_GRAPH_MAX_NODES, temporary_settings

Call = Callable[..., Any]


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def now_us(self) -> int:
        return clock.to_us(self.time)

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def hand() -> Iterator[HandClock]:
    with clock.use(made := HandClock()):
        yield made


@pytest.fixture
def flow_id(call: Call) -> UUID:
    return call(flows.CREATE_FLOW, FlowCreate(name="main", labels={"team": "a"})).id


def move(call: Call, run_id: UUID, kind: str, *, force: bool = False, **details: Any) -> OrchestrationResult:
    body = SetState(state=StateCreate(type=StateType(kind), state_details=StateDetails(**details)), force=force)
    return call(flow_runs.SET_FLOW_RUN_STATE, body, id=run_id)


def read(call: Call, run_id: UUID) -> FlowRun:
    return call(flow_runs.READ_FLOW_RUN, id=run_id)


def test_run_begins_pending_with_an_invented_name_and_inherited_labels(call: Call, flow_id: UUID) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, labels={"mine": 1}))
    assert (run.state.type, run.state_name, run.run_count) == (StateType.PENDING, "Pending", 0)
    assert run.labels == {"prefect.flow.id": str(flow_id), "team": "a", "mine": 1}
    assert len(run.name.split("-")) == 2
    assert run.expected_start_time == run.state.timestamp
    assert run.state.state_details.flow_run_id == run.id


def test_created_run_is_the_one_that_is_read(call: Call, flow_id: UUID, hand: HandClock) -> None:
    body = FlowRunCreate(
        flow_id=flow_id,
        parameters={"x": [1, {"y": None}], "ü": "ß"},
        tags=["b", "a"],
        flow_version="3",
        context={"c": 1},
        empirical_policy=FlowRunPolicy(retries=2, retry_delay=7),
        state=StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(transition_id=ids.new())),
        job_variables={"image": "x"},
    )
    run = call(flow_runs.CREATE_FLOW_RUN, body, owner=ids.new())
    assert read(call, run.id).model_dump() == run.model_dump()
    assert (run.parameters, run.empirical_policy.retries) == ({"x": [1, {"y": None}], "ü": "ß"}, 2)
    assert run.next_scheduled_start_time == run.state.state_details.scheduled_time


def test_idempotency_key_answers_the_first_run_of_that_flow(call: Call, flow_id: UUID) -> None:
    other = call(flows.CREATE_FLOW, FlowCreate(name="other")).id
    first, again, elsewhere = (
        call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow, idempotency_key="k")).id for flow in (flow_id, flow_id, other)
    )
    assert first == again != elsewhere


def test_run_of_a_missing_flow_is_refused(call: Call) -> None:
    with pytest.raises(InvalidRequest, match="No flow has the id"):
        call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=ids.new()))


def test_books_are_kept_through_a_run_with_a_pause_and_a_retry(call: Call, flow_id: UUID, hand: HandClock) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, empirical_policy=FlowRunPolicy(retries=1)))
    hand.sleep(1)
    move(call, run.id, "RUNNING")
    hand.sleep(10)
    assert read(call, run.id).estimated_run_time == timedelta(seconds=10)
    move(call, run.id, "PAUSED", pause_key="p")
    hand.sleep(100)
    move(call, run.id, "RUNNING")
    hand.sleep(20)
    answer = move(call, run.id, "FAILED")
    assert (answer.status, answer.state and answer.state.name) == ("REJECT", "AwaitingRetry")
    hand.sleep(1)
    move(call, run.id, "RUNNING")
    hand.sleep(5)
    move(call, run.id, "COMPLETED")
    run = read(call, run.id)
    assert (run.run_count, run.total_run_time) == (2, timedelta(seconds=35))
    assert run.start_time == run.expected_start_time + timedelta(seconds=1)
    assert run.end_time == run.start_time + timedelta(seconds=136)
    assert run.estimated_start_time_delta == timedelta(seconds=1)
    names = [state.name for state in call(states.READ_FLOW_RUN_STATES, flow_run_id=run.id)]
    assert names == ["Pending", "Running", "Paused", "Running", "AwaitingRetry", "Running", "Completed"]
    assert run.empirical_policy.retry_type == "in_process"


def test_states_of_one_moment_get_times_of_their_own(call: Call, flow_id: UUID, hand: HandClock) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id))
    first, second = move(call, run.id, "RUNNING").state, move(call, run.id, "COMPLETED").state
    assert first is not None
    assert second is not None
    assert run.state.timestamp < first.timestamp < second.timestamp


def test_result_metadata_is_given_back_with_the_state(call: Call, flow_id: UUID) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id))
    body = SetState(state=StateCreate(type=StateType.COMPLETED, message="done", data={"storage_key": "k"}), force=True)
    answer = call(flow_runs.SET_FLOW_RUN_STATE, body, id=run.id)
    state = read(call, run.id).state
    assert (state, state.data, state.message) == (answer.state, {"storage_key": "k"}, "done")
    assert call(states.READ_FLOW_RUN_STATE, id=state.id).data == {"storage_key": "k"}


def test_state_sent_twice_with_its_id_is_written_once(call: Call, flow_id: UUID) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id))
    body = SetState(state=StateCreate(type=StateType.RUNNING, id=ids.new()))
    first, second = (call(flow_runs.SET_FLOW_RUN_STATE, body, id=run.id) for _ in range(2))
    assert (first.status, second.status, second.state) == ("ACCEPT", "ACCEPT", first.state)
    assert read(call, run.id).run_count == 1


def test_aborted_and_waiting_proposals_write_nothing(call: Call, flow_id: UUID, hand: HandClock) -> None:
    later = hand.now() + timedelta(seconds=30)
    body = FlowRunCreate(flow_id=flow_id, state=StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=later)))
    run = call(flow_runs.CREATE_FLOW_RUN, body)
    answer = move(call, run.id, "RUNNING")
    assert (answer.status, answer.details.model_dump()["delay_seconds"], answer.state) == ("WAIT", 30, run.state)
    move(call, run.id, "RUNNING", force=True)
    assert move(call, run.id, "PENDING").status == "ABORT"
    assert [state.name for state in call(states.READ_FLOW_RUN_STATES, flow_run_id=run.id)] == ["Scheduled", "Running"]


@pytest.mark.parametrize("endpoint", [flow_runs.READ_FLOW_RUN, flow_runs.DELETE_FLOW_RUN, flow_runs.RESUME_FLOW_RUN, flow_runs.FLOW_RUN_GRAPH])
def test_missing_run_is_named(call: Call, endpoint: Any) -> None:
    id = ids.new()
    with pytest.raises(ObjectNotFound, match=str(id)):
        call(endpoint, id=id)


def test_only_set_fields_are_updated(call: Call, flow_id: UUID) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, name="a", tags=["x"], parameters={"p": 1}))
    call(flow_runs.UPDATE_FLOW_RUN, FlowRunUpdate(name="b", infrastructure_pid="77"), id=run.id)
    call(flow_runs.UPDATE_FLOW_RUN_LABELS, {"team": "b", "n": 2}, id=run.id)
    run = read(call, run.id)
    assert (run.name, run.tags, run.parameters, run.infrastructure_pid) == ("b", ["x"], {"p": 1}, "77")
    assert run.labels == {"prefect.flow.id": str(flow_id), "team": "b", "n": 2}
    with pytest.raises(InvalidRequest, match="scheduled no more"):
        call(flow_runs.UPDATE_FLOW_RUN, FlowRunUpdate(job_variables={}), id=run.id)


# --- lists --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(call: Call, flow_id: UUID, hand: HandClock) -> list[FlowRun]:
    """Three runs, a second apart: "One" completed with tags a and b, "two" running with tag a, "three" pending without tags."""
    made: list[FlowRun] = []
    for name, tags, kind in (("One", ["a", "b"], "COMPLETED"), ("two", ["a"], "RUNNING"), ("three", [], None)):
        run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, name=name, tags=tags, flow_version=name))
        if kind:
            move(call, run.id, kind)
        made.append(run)
        hand.sleep(1)
    call(task_runs.CREATE_TASK_RUN, TaskRunCreate(flow_run_id=made[1].id, name="child", task_key="t", dynamic_key="0", tags=["z"]))
    return made


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["One", "two", "three"]),
    ({"name": {"any_": ["One"]}}, ["One"]),
    ({"name": {"like_": "ONE"}}, ["One"]),
    ({"name": {"like_": "%"}}, []),
    ({"name": {"any_": []}}, []),
    ({"tags": {"all_": ["a"]}}, ["One", "two"]),
    ({"tags": {"all_": ["a", "b"]}}, ["One"]),
    ({"tags": {"any_": ["b", "nope"]}}, ["One"]),
    ({"tags": {"is_null_": True}}, ["three"]),
    ({"tags": {"operator": "or_", "all_": ["b"], "is_null_": True}}, ["One", "three"]),
    ({"state": {"type": {"any_": ["RUNNING"]}}}, ["two"]),
    ({"state": {"type": {"not_any_": ["RUNNING"]}}}, ["One", "three"]),
    ({"state": {"name": {"not_any_": ["Running", "Pending"]}}}, ["One"]),
    ({"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Pending"]}}}, ["two", "three"]),
    ({"operator": "or_", "name": {"any_": ["One"]}, "flow_version": {"any_": ["two"]}}, ["One", "two"]),
    ({"start_time": {"is_null_": True}}, ["three"]),
    ({"end_time": {"is_null_": False}}, ["One"]),
    ({"start_time": {"after_": "2026-03-01T00:00:01+00:00"}}, ["two"]),
    ({"expected_start_time": {"before_": "2026-03-01T00:00:01Z"}}, ["One", "two"]),
    ({"deployment_id": {"is_null_": True}}, ["One", "two", "three"]),
    ({"parent_task_run_id": {"is_null_": False}}, []),
    ({"created_by": {"type_": ["SCHEDULE"]}}, []),
]


@pytest.mark.parametrize(("given", "names"), FILTERS, ids=[str(given) for given, _ in FILTERS])
def test_flow_run_filter(call: Call, three: list[FlowRun], given: dict[str, Any], names: list[str]) -> None:
    body = RunScope(flow_runs=FlowRunFilter.model_validate(given))
    listed = call(flow_runs.FILTER_FLOW_RUNS, FlowRunQuery(flow_runs=body.flow_runs, sort=FlowRunSort.EXPECTED_START_TIME_ASC))
    assert [run.name for run in listed] == names
    assert call(flow_runs.COUNT_FLOW_RUNS, body) == len(names)


def test_runs_are_left_out_by_their_ids(call: Call, three: list[FlowRun]) -> None:
    body = FlowRunQuery.model_validate({"flow_runs": {"id": {"any_": [three[0].id, three[1].id], "not_any_": [three[1].id]}}})
    assert [run.id for run in call(flow_runs.FILTER_FLOW_RUNS, body)] == [three[0].id]


def test_related_filters_must_match_too(call: Call, three: list[FlowRun]) -> None:
    def names(**scope: Any) -> list[str]:
        return [run.name for run in call(flow_runs.FILTER_FLOW_RUNS, FlowRunQuery(**scope))]

    child = TaskRunFilter.model_validate({"name": {"any_": ["child"]}})
    assert names(task_runs=child) == ["two"]
    assert names(task_runs=child, flow_runs=FlowRunFilter.model_validate({"name": {"any_": ["One"]}})) == []
    assert names(flows=FlowFilter.model_validate({"name": {"any_": ["else"]}})) == []
    assert len(names(flows=FlowFilter.model_validate({"name": {"any_": ["main"]}}))) == 3


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        (FlowRunSort.ID_DESC, ["three", "two", "One"]),
        (FlowRunSort.START_TIME_ASC, ["One", "two", "three"]),
        (FlowRunSort.START_TIME_DESC, ["three", "two", "One"]),
        (FlowRunSort.END_TIME_DESC, ["One", "three", "two"]),
        (FlowRunSort.NAME_ASC, ["One", "three", "two"]),
    ],
)
def test_flow_run_order(call: Call, three: list[FlowRun], sort: FlowRunSort, names: list[str]) -> None:
    assert [run.name for run in call(flow_runs.FILTER_FLOW_RUNS, FlowRunQuery(sort=sort))] == names


def test_pages(call: Call, three: list[FlowRun]) -> None:
    page = call(flow_runs.PAGINATE_FLOW_RUNS, FlowRunPageQuery(limit=2, page=2, sort=FlowRunSort.NAME_ASC))
    assert ([run.name for run in page.results], page.count, page.limit, page.pages, page.page) == (["two"], 3, 2, 2, 2)
    assert call(flow_runs.PAGINATE_FLOW_RUNS, FlowRunPageQuery(limit=0)).pages == 0
    with pytest.raises(InvalidRequest, match="less than or equal to 200"):
        call(flow_runs.FILTER_FLOW_RUNS, FlowRunQuery(limit=201))
    with temporary_settings({HEADRACE_SERVER_API_DEFAULT_LIMIT: 2}):
        assert len(call(flow_runs.FILTER_FLOW_RUNS)) == 2


def test_graph_with_too_many_nodes_says_what_to_raise(call: Call, three: list[FlowRun]) -> None:
    for key in ("1", "2"):
        run = call(task_runs.CREATE_TASK_RUN, TaskRunCreate(flow_run_id=three[1].id, task_key="t", dynamic_key=key))
        call(task_runs.SET_TASK_RUN_STATE, SetState(state=StateCreate(type=StateType.RUNNING)), id=run.id)
    with (
        temporary_settings({HEADRACE_SERVER_FLOW_RUN_GRAPH_MAX_NODES: 1}),
        pytest.raises(InvalidRequest, match="HEADRACE_SERVER_FLOW_RUN_GRAPH_MAX_NODES"),
    ):
        call(flow_runs.FLOW_RUN_GRAPH, id=three[1].id)


def test_history_and_lateness(call: Call, three: list[FlowRun], hand: HandClock) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    hand.sleep(7)
    body = HistoryQuery(history_start=start, history_end=start + timedelta(seconds=4), history_interval_seconds=timedelta(seconds=2))
    first, second = call(flow_runs.FLOW_RUN_HISTORY, body)
    assert [(state.state_name, state.count_runs) for state in first.states] == [("Completed", 1), ("Running", 1)]
    assert round(first.states[1].sum_estimated_run_time.total_seconds()) == 9
    assert [(state.state_name, state.sum_estimated_lateness) for state in second.states] == [("Pending", timedelta(seconds=8))]
    assert call(flow_runs.FLOW_RUN_LATENESS, RunScope()) == pytest.approx(8 / 3, abs=0.01)
    assert call(flow_runs.FLOW_RUN_LATENESS, RunScope(flow_runs=FlowRunFilter.model_validate({"name": {"any_": []}}))) is None
    with pytest.raises(InvalidRequest, match="less than 1 second"):
        call(flow_runs.FLOW_RUN_HISTORY, body.model_copy(update={"history_interval_seconds": timedelta(seconds=0.5)}))
    with pytest.raises(InvalidRequest, match="too many"):
        call(flow_runs.FLOW_RUN_HISTORY, body.model_copy(update={"history_end": start + timedelta(days=1)}))


def test_bulk_change_and_delete(call: Call, three: list[FlowRun]) -> None:
    mine = FlowRunFilter.model_validate({"tags": {"all_": ["a"]}})
    answer = call(flow_runs.BULK_SET_FLOW_RUN_STATE, FlowRunBulkSetState(flow_runs=mine, state=StateCreate(type=StateType.CRASHED)))
    assert {result.flow_run_id: result.status for result in answer.results} == {three[0].id: "ABORT", three[1].id: "ACCEPT"}
    deleted = call(flow_runs.BULK_DELETE_FLOW_RUNS, FlowRunBulkDelete(flow_runs=mine, limit=1)).deleted
    assert deleted == [three[1].id]
    assert call(task_runs.COUNT_TASK_RUNS) == 0


def test_deleting_a_flow_takes_everything_with_it(call: Call, three: list[FlowRun], flow_id: UUID) -> None:
    line = LogCreate(name="x", level=20, message="m", timestamp=clock.now(), flow_run_id=three[0].id)
    call(logs.CREATE_LOGS, [line])
    call(run_inputs.CREATE_FLOW_RUN_INPUT, FlowRunInputCreate(key="k", value="1"), id=three[0].id)
    call(flows.DELETE_FLOW, id=flow_id)
    assert [call(endpoint) for endpoint in (flows.COUNT_FLOWS, flow_runs.COUNT_FLOW_RUNS, task_runs.COUNT_TASK_RUNS, logs.FILTER_LOGS)] == [
        0,
        0,
        0,
        [],
    ]
    assert call(states.READ_FLOW_RUN_STATES, flow_run_id=three[0].id) == []


# --- pausing, owners, graph -------------------------------------------------------------------------------------------------

SCHEMA = '{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false}'


def test_resume_checks_and_stores_the_inputs_it_waits_for(call: Call, flow_id: UUID) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id))
    answer = call(flow_runs.RESUME_FLOW_RUN, id=run.id)
    assert (answer.status, answer.state) == ("ABORT", None)
    move(call, run.id, "RUNNING")
    move(call, run.id, "PAUSED", run_input_keyset={"schema": "s", "response": "r"})
    call(run_inputs.CREATE_FLOW_RUN_INPUT, FlowRunInputCreate(key="s", value=SCHEMA), id=run.id)
    answer = call(flow_runs.RESUME_FLOW_RUN, ResumeRun(run_input={"x": "no", "y": 1}), id=run.id)
    assert answer.status == "REJECT"
    assert answer.details.model_dump()["reason"] == "Reason: x is 'no', not of type integer; y is unknown"
    answer = call(flow_runs.RESUME_FLOW_RUN, ResumeRun(run_input={"x": 4}), id=run.id)
    assert (answer.status, answer.state and answer.state.type) == ("ACCEPT", StateType.RUNNING)
    assert call(run_inputs.READ_FLOW_RUN_INPUT, id=run.id, key="r") == '{"x":4}'
    assert read(call, run.id).run_count == 1


def test_suspended_run_of_a_deployment_is_scheduled_for_now(call: Call, flow_id: UUID, hand: HandClock) -> None:
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, deployment_id=ids.new()))
    move(call, run.id, "RUNNING")
    move(call, run.id, "PAUSED", pause_reschedule=True)
    state = call(flow_runs.RESUME_FLOW_RUN, id=run.id).state
    assert (state.type, state.name) == (StateType.SCHEDULED, "Resuming")
    assert read(call, run.id).empirical_policy.resuming is True
    move(call, run.id, "PENDING")
    move(call, run.id, "RUNNING")
    run = read(call, run.id)
    assert (run.run_count, run.empirical_policy.resuming) == (1, False)


def test_runs_of_a_dead_owner_are_crashed_with_their_tasks(call: Call, flow_id: UUID) -> None:
    owner, other = ids.new(), ids.new()
    mine, ended, suspended = (call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, deployment_id=flow_id), owner=owner) for _ in range(3))
    strange = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id), owner=other)
    for run in (mine, ended, suspended, strange):
        move(call, run.id, "RUNNING")
    move(call, ended.id, "COMPLETED")
    move(call, suspended.id, "PAUSED", pause_reschedule=True)
    task = call(task_runs.CREATE_TASK_RUN, TaskRunCreate(flow_run_id=mine.id, task_key="t", dynamic_key="0"))
    assert call(owners.CRASH_OWNED_RUNS, id=owner) == 1
    found = [read(call, run.id).state_name for run in (mine, ended, suspended, strange)]
    assert found == ["Crashed", "Completed", "Paused", "Running"]
    assert call(task_runs.READ_TASK_RUN, id=task.id).state_name == "Crashed"
    assert call(owners.CRASH_OWNED_RUNS, id=owner) == 0


def test_subflow_run_is_mirrored_on_its_placeholder_and_shown_in_the_graph(call: Call, flow_id: UUID) -> None:
    parent = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id))
    move(call, parent.id, "RUNNING")
    place = call(task_runs.CREATE_TASK_RUN, TaskRunCreate(flow_run_id=parent.id, name="place", task_key="sub", dynamic_key="0"))
    child = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, name="child", parent_task_run_id=place.id))
    move(call, child.id, "RUNNING")
    inputs = {"x": [TaskRunResult(id=place.id)]}
    after = call(task_runs.CREATE_TASK_RUN, TaskRunCreate(flow_run_id=parent.id, task_key="t", dynamic_key="0", name="after", task_inputs=inputs))
    call(task_runs.SET_TASK_RUN_STATE, SetState(state=StateCreate(type=StateType.RUNNING)), id=after.id)
    mirrored = call(task_runs.READ_TASK_RUN, id=place.id).state
    assert (mirrored.type, mirrored.state_details.child_flow_run_id) == (StateType.RUNNING, child.id)
    graph = call(flow_runs.FLOW_RUN_GRAPH, id=parent.id)
    nodes = dict(graph.nodes)
    assert {node.label: node.kind for node in nodes.values()} == {"child": "flow-run", "after": "task-run"}
    assert [edge.id for edge in nodes[after.id].parents] == [child.id]
    assert [edge.id for edge in nodes[child.id].children] == [after.id]
    assert graph.root_node_ids == [child.id]
    first, second = call(flow_runs.FLOW_RUN_DEPENDENCIES, id=parent.id)
    assert (first.id, [source.id for source in second.upstream_dependencies]) == (place.id, [place.id])
    assert [state.name for state in graph.states] == ["Pending", "Running"]
