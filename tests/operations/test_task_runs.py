"""Task runs, records, logs, flows and the installation, through the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from headrace.model import clock, ids
from headrace.model.concurrency import ConcurrencyLimitCreate
from headrace.model.endpoints import admin, concurrency, flow_runs, flows, logs, records, states, task_runs
from headrace.model.errors import InvalidRequest, ObjectNotFound
from headrace.model.flow_runs import FlowRunCreate
from headrace.model.flows import FlowCreate, FlowUpdate
from headrace.model.logs import LogCreate, LogSort
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.run_filters import FlowFilter, LogFilter, TaskRunFilter
from headrace.model.run_queries import FlowBulkDelete, FlowPageQuery, FlowQuery, LogQuery, RunScope, TaskRunPageQuery, TaskRunQuery
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.task_runs import Parameter, TaskRun, TaskRunCreate, TaskRunPolicy, TaskRunResult, TaskRunUpdate

Call = Callable[..., Any]


@pytest.fixture
def flow_run_id(call: Call) -> UUID:
    flow = call(flows.CREATE_FLOW, FlowCreate(name="main"))
    run = call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, labels={"team": "a"}))
    call(flow_runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=StateType.RUNNING)), id=run.id)
    return run.id


def create(call: Call, key: str = "0", **values: Any) -> TaskRun:
    return call(task_runs.CREATE_TASK_RUN, TaskRunCreate(task_key="t", dynamic_key=key, **values))


def move(call: Call, run_id: UUID, kind: str, **details: Any) -> OrchestrationResult:
    body = SetState(state=StateCreate(type=StateType(kind), state_details=StateDetails(**details)))
    return call(task_runs.SET_TASK_RUN_STATE, body, id=run_id)


def test_task_run_is_created_once_for_its_keys(call: Call, flow_run_id: UUID) -> None:
    first, again = (create(call, flow_run_id=flow_run_id) for _ in range(2))
    outside, outside_again = (create(call) for _ in range(2))
    other = create(call, "1", flow_run_id=flow_run_id)
    assert first.id == again.id
    assert outside.id == outside_again.id
    assert len({first.id, outside.id, other.id}) == 3
    given = ids.new()
    assert create(call, "2", id=given).id == given
    assert create(call, "3", id=given).dynamic_key == "2"


def test_created_task_run_is_the_one_that_is_read(call: Call, flow_run_id: UUID) -> None:
    run = create(
        call,
        flow_run_id=flow_run_id,
        tags=["x"],
        labels={"n": 1},
        task_inputs={"a": [TaskRunResult(id=flow_run_id), Parameter(name="p")]},
        empirical_policy=TaskRunPolicy(retries=2, retry_delay=[1, 2.5], retry_jitter_factor=0.5),
        cache_key="k",
        task_version="v",
    )
    found = call(task_runs.READ_TASK_RUN, id=run.id)
    moving = {"estimated_start_time_delta"}
    assert found.model_dump(exclude=moving) == run.model_dump(exclude=moving)
    assert found.task_inputs["a"] == [TaskRunResult(id=flow_run_id), Parameter(name="p")]
    assert found.labels["team"] == "a"
    assert found.labels["prefect.flow-run.id"] == str(flow_run_id)
    assert (found.empirical_policy.retry_delay, found.state.state_details.flow_run_id) == ([1, 2.5], flow_run_id)


def test_task_retries_then_fails(call: Call, flow_run_id: UUID) -> None:
    run = create(call, flow_run_id=flow_run_id, empirical_policy=TaskRunPolicy(retries=1))
    assert move(call, run.id, "RUNNING").status == "ACCEPT"
    assert move(call, run.id, "FAILED").state.name == "AwaitingRetry"
    assert move(call, run.id, "RUNNING").state.name == "Retrying"
    assert move(call, run.id, "FAILED").state.name == "Failed"
    found = call(task_runs.READ_TASK_RUN, id=run.id)
    assert (found.run_count, found.flow_run_run_count) == (2, 1)


def test_task_starts_only_in_a_running_flow(call: Call, flow_run_id: UUID) -> None:
    run = create(call, flow_run_id=flow_run_id)
    call(flow_runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=StateType.FAILED)), id=flow_run_id)
    answer = move(call, run.id, "RUNNING")
    assert (answer.status, answer.details.model_dump()["reason"]) == ("ABORT", "The enclosing flow must be running to begin task execution.")


def test_cached_result_is_used_until_it_expires(call: Call) -> None:
    first, second, third = (create(call, str(n)) for n in range(3))
    move(call, first.id, "RUNNING", cache_key="k")
    body = SetState(state=StateCreate(type=StateType.COMPLETED, data={"storage_key": "r"}, state_details=StateDetails(cache_key="k")))
    call(task_runs.SET_TASK_RUN_STATE, body, id=first.id)
    answer = move(call, second.id, "RUNNING", cache_key="k")
    assert (answer.status, answer.state.name, answer.state.data) == ("REJECT", "Cached", {"storage_key": "r"})
    expired = SetState(
        state=StateCreate(type=StateType.COMPLETED, state_details=StateDetails(cache_key="k", cache_expiration=clock.now())), force=False
    )
    move(call, third.id, "RUNNING", cache_key="k", refresh_cache=True)
    call(task_runs.SET_TASK_RUN_STATE, expired, id=third.id)
    assert move(call, create(call, "9").id, "RUNNING", cache_key="k").state.name == "Running"


def test_task_takes_a_slot_of_its_tags_and_gives_it_back(call: Call) -> None:
    call(concurrency.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="x", concurrency_limit=1))
    first, second = (create(call, str(n), tags=["x", "free"]) for n in range(2))
    assert move(call, first.id, "RUNNING").status == "ACCEPT"
    answer = move(call, second.id, "RUNNING")
    assert (answer.status, answer.details.model_dump()["reason"]) == ("WAIT", "Concurrency limit for the x tag has been reached")
    assert 1 <= answer.details.model_dump()["delay_seconds"] <= 10
    move(call, first.id, "COMPLETED")
    assert move(call, second.id, "RUNNING").status == "ACCEPT"
    call(task_runs.DELETE_TASK_RUN, id=second.id)
    assert move(call, create(call, "3", tags=["x"]).id, "RUNNING").status == "ACCEPT"


def test_deferred_task_is_taken_once(call: Call) -> None:
    parameters = ids.new()
    details = StateDetails(deferred=True, task_parameters_id=parameters)
    run = create(call, state=StateCreate(type=StateType.SCHEDULED, state_details=details))
    taken = move(call, run.id, "PENDING")
    assert (taken.status, taken.state.state_details.task_parameters_id) == ("ACCEPT", parameters)
    assert move(call, run.id, "PENDING").status == "ABORT"


def test_rename_and_delete_task_run(call: Call) -> None:
    run = create(call)
    call(task_runs.UPDATE_TASK_RUN, TaskRunUpdate(name="new"), id=run.id)
    assert call(task_runs.READ_TASK_RUN, id=run.id).name == "new"
    call(task_runs.DELETE_TASK_RUN, id=run.id)
    assert call(states.READ_TASK_RUN_STATES, task_run_id=run.id) == []
    for endpoint, body in ((task_runs.READ_TASK_RUN, None), (task_runs.DELETE_TASK_RUN, None), (task_runs.UPDATE_TASK_RUN, TaskRunUpdate())):
        with pytest.raises(ObjectNotFound, match=str(run.id)):
            call(endpoint, body, id=run.id)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["in", "out"]),
        ({"flow_run_id": {"is_null_": True}}, ["out"]),
        ({"flow_run_id": {}}, ["in"]),
        ({"subflow_runs": {"exists_": True}}, []),
        ({"subflow_runs": {"exists_": False}}, ["in", "out"]),
        ({"tags": {"all_": ["x"]}}, ["in"]),
        ({"state": {"type": {"any_": ["PENDING"]}, "name": {"any_": ["Running"]}}}, []),
        ({"name": {"like_": "U"}}, ["out"]),
    ],
)
def test_task_run_filter(call: Call, flow_run_id: UUID, given: dict[str, Any], names: list[str]) -> None:
    create(call, flow_run_id=flow_run_id, name="in", tags=["x"])
    create(call, name="out")
    where = TaskRunFilter.model_validate(given)
    assert sorted(run.name for run in call(task_runs.FILTER_TASK_RUNS, TaskRunQuery(task_runs=where))) == names
    assert call(task_runs.COUNT_TASK_RUNS, RunScope(task_runs=where)) == len(names)
    assert call(task_runs.PAGINATE_TASK_RUNS, TaskRunPageQuery(task_runs=where)).count == len(names)


# --- records --------------------------------------------------------------------------------------------------------------


def told(flow_run_id: UUID | None = None, **values: Any) -> dict[str, Any]:
    now = clock.now_us()
    shown = [("PENDING", "Pending"), ("RUNNING", "Running"), ("COMPLETED", "Completed")]
    return {
        "id": str(ids.new()), "flow_run_id": flow_run_id and str(flow_run_id), "name": "t-0", "task_key": "t", "dynamic_key": "0", "tags": ["a"],
        "labels": {"l": 1}, "task_inputs": {"x": [{"input_type": "constant", "type": "int"}]}, "retries": 1, "retry_delay": [2],
        "retry_jitter_factor": None, "cache_key": None, "cache_expiration": None, "run_count": 1, "flow_run_run_count": 1,
        "expected_start_time": now, "start_time": now + 1, "end_time": now + 2, "total_run_time": 0.000001,
        "states": [[str(ids.new()), kind, name, now + n, None, None, None] for n, (kind, name) in enumerate(shown)], **values,
    }  # fmt: skip


def test_recorded_task_run_is_read_like_any_other(call: Call, flow_run_id: UUID) -> None:
    run = told(flow_run_id)
    run["states"][2][4:] = ["done", {"storage_key": "k"}, {"cache_key": "c"}]
    line = [str(ids.new()), "headrace.task_runs", 20, "hello", clock.now_us(), str(flow_run_id), run["id"]]
    call(records.RECORD, {"task_runs": [run], "logs": [line]})
    found = call(task_runs.READ_TASK_RUN, id=UUID(run["id"]))
    assert (found.state_name, found.state.message, found.state.data) == ("Completed", "done", {"storage_key": "k"})
    assert (found.state.state_details.cache_key, found.state.state_details.task_run_id) == ("c", found.id)
    assert (found.tags, found.labels, found.empirical_policy.retries, found.empirical_policy.retry_delay) == (["a"], {"l": 1}, 1, [2])
    assert found.total_run_time.total_seconds() == 0.000001
    assert [state.name for state in call(states.READ_TASK_RUN_STATES, task_run_id=found.id)] == ["Pending", "Running", "Completed"]
    (log,) = call(logs.FILTER_LOGS)
    assert (log.message, log.level, log.task_run_id, log.flow_run_id) == ("hello", 20, found.id, flow_run_id)


def test_batch_that_comes_twice_or_late_changes_nothing(call: Call) -> None:
    run = told()
    early = {**run, "states": run["states"][:2], "end_time": None, "name": "early"}
    line = [str(ids.new()), "x", 20, "once", clock.now_us(), None, None]
    for batch in ([early], [run], [run], [early]):
        call(records.RECORD, {"task_runs": batch, "logs": [line]})
    found = call(task_runs.READ_TASK_RUN, id=UUID(run["id"]))
    assert (found.state_name, found.name, found.end_time is None) == ("Completed", "t-0", False)
    assert len(call(states.READ_TASK_RUN_STATES, task_run_id=found.id)) == 3
    assert len(call(logs.FILTER_LOGS)) == 1


def test_batch_is_written_whole_or_not_at_all(call: Call) -> None:
    good, bad = told(), told()
    del bad["name"]
    with pytest.raises(InvalidRequest):
        call(records.RECORD, {"task_runs": [good, bad], "logs": []})
    assert call(task_runs.COUNT_TASK_RUNS) == 0


# --- logs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({}, ["Disk is full", "Network lost", "net worth"]),
        ({"level": {"ge_": 30}}, ["Disk is full", "Network lost"]),
        ({"level": {"le_": 30}}, ["Network lost", "net worth"]),
        ({"text": {"query": "disk worth"}}, ["Disk is full", "net worth"]),
        ({"text": {"query": "net -lost"}}, ["net worth"]),
        ({"text": {"query": "net !worth"}}, ["Network lost"]),
        ({"text": {"query": "net +lost"}}, ["Network lost"]),
        ({"text": {"query": '"is full"'}}, ["Disk is full"]),
        ({"text": {"query": '"full is"'}}, []),
        ({"operator": "or_", "level": {"ge_": 40}, "text": {"query": "worth"}}, ["Disk is full", "net worth"]),
        ({"task_run_id": {"is_null_": False}}, []),
    ],
)
def test_log_filter(call: Call, given: dict[str, Any], messages: list[str]) -> None:
    levels = {"Disk is full": 40, "Network lost": 30, "net\0 worth": 20}
    now = clock.now()
    call(logs.CREATE_LOGS, [LogCreate(name="x", level=level, message=message, timestamp=now) for message, level in levels.items()])
    found = call(logs.FILTER_LOGS, LogQuery(logs=LogFilter.model_validate(given)))
    assert [line.message for line in found] == messages
    back = call(logs.FILTER_LOGS, LogQuery(logs=LogFilter.model_validate(given), sort=LogSort.TIMESTAMP_DESC))
    assert [line.message for line in back] == messages[::-1]


# --- flows and the installation ---------------------------------------------------------------------------------------------


def test_flow_is_registered_once_and_stays_as_it_was(call: Call) -> None:
    first = call(flows.CREATE_FLOW, FlowCreate(name="f", tags=["a"]))
    again = call(flows.CREATE_FLOW, FlowCreate(name="f", tags=["b"], labels={"x": 1}))
    assert again == first == call(flows.READ_FLOW_BY_NAME, name="f")
    call(flows.UPDATE_FLOW, FlowUpdate(tags=["c"]), id=first.id)
    assert call(flows.READ_FLOW, id=first.id).tags == ["c"]
    with pytest.raises(ObjectNotFound, match="'g'"):
        call(flows.READ_FLOW_BY_NAME, name="g")


def test_flows_are_listed_paged_and_deleted(call: Call) -> None:
    for name in ("b", "a", "c"):
        call(flows.CREATE_FLOW, FlowCreate(name=name, tags=[name]))
    where = FlowFilter.model_validate({"operator": "or_", "name": {"any_": ["a"]}, "tags": {"all_": ["b"]}})
    assert [flow.name for flow in call(flows.FILTER_FLOWS, FlowQuery(flows=where))] == ["a", "b"]
    page = call(flows.PAGINATE_FLOWS, FlowPageQuery(limit=1, page=2))
    assert ([flow.name for flow in page.results], page.count, page.pages) == (["b"], 3, 3)
    assert len(call(flows.BULK_DELETE_FLOWS, FlowBulkDelete(flows=where)).deleted) == 2
    assert [flow.name for flow in call(flows.FILTER_FLOWS)] == ["c"]
    with pytest.raises(InvalidRequest, match="greater than or equal to 0"):
        call(flows.FILTER_FLOWS, FlowQuery(limit=-1))


def test_settings_are_shown_without_secrets(call: Call) -> None:
    from headrace.settings import HEADRACE_API_AUTH_STRING, temporary_settings

    with temporary_settings({HEADRACE_API_AUTH_STRING: "admin:secret"}):
        shown = call(admin.READ_SETTINGS)
    assert "admin:secret" not in str(shown)
    assert "home" in shown


def test_result_storage_must_be_a_block_that_exists(call: Call) -> None:
    assert call(admin.READ_DEFAULT_RESULT_STORAGE).default_result_storage_block_id is None
    missing = ids.new()
    from headrace.model.admin import ServerDefaultResultStorageUpdate

    with pytest.raises(ObjectNotFound, match=str(missing)):
        call(admin.UPDATE_DEFAULT_RESULT_STORAGE, ServerDefaultResultStorageUpdate(default_result_storage_block_id=missing))
    call(admin.CLEAR_DEFAULT_RESULT_STORAGE)
