"""What a server tells of runs, and what it learns of task runs from the events of foreign clients."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.model import clock, ids
from headrace.model.artifacts import ArtifactCreate, ArtifactUpdate
from headrace.model.caller import EMBEDDED, Caller
from headrace.model.concurrency import ConcurrencyLimitCreate, ConcurrencyLimitV2Create, ConcurrencyLimitV2Update
from headrace.model.endpoints import artifacts, concurrency, flow_runs, flows, records, run_queries, states, task_runs, variables
from headrace.model.endpoints.events import FILTER_EVENTS, RECORD_EVENTS
from headrace.model.errors import ObjectNotFound
from headrace.model.event_filters import EventFilter, FilterEvents
from headrace.model.events import ReceivedEvent, SentEvent
from headrace.model.flow_runs import FlowRunCreate
from headrace.model.flows import FlowCreate, FlowUpdate
from headrace.model.orchestration import SetState
from headrace.model.run_queries import FlowBulkDelete
from headrace.model.states import StateCreate, StateType
from headrace.model.task_runs import TaskRunCreate
from headrace.model.variables import VariableCreate, VariableUpdate


def told(server: Any, prefix: str = "") -> list[ReceivedEvent]:
    body = FilterEvents(filter=EventFilter.model_validate({"event": {"prefix": [prefix]}, "order": "ASC"}))
    return server(FILTER_EVENTS, body).events


@pytest.fixture
def flow_run(server: Any) -> Any:
    flow = server(flows.CREATE_FLOW, FlowCreate(name="daily", tags=["of-flow"]))
    return server(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, name="brave", tags=["of-run"]))


def propose(server: Any, run: Any, type: str, caller: Caller | None = None, **more: Any) -> Any:
    body = SetState(state=StateCreate(type=StateType(type), **more))
    if caller is None:
        return server(flow_runs.SET_FLOW_RUN_STATE, body, id=run.id)
    return server.answer(flow_runs.SET_FLOW_RUN_STATE, body, caller, id=run.id)[0]


# --- flow runs --------------------------------------------------------------------------------------------------------


def test_a_state_of_a_flow_run_is_an_event_with_its_id(server: Any, flow_run: Any) -> None:
    running = propose(server, flow_run, "RUNNING", message="off we go").state
    first, second = told(server, "prefect.flow-run.")
    assert (first.event, first.id, first.follows) == ("prefect.flow-run.Pending", flow_run.state_id, None)
    assert (second.event, second.id, second.follows) == ("prefect.flow-run.Running", running.id, flow_run.state_id)
    assert second.occurred == running.timestamp
    assert dict(second.resource.items()) == {
        "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
        "prefect.resource.name": "brave",
        "prefect.run-count": "1",
        "prefect.state-message": "off we go",
        "prefect.state-name": "Running",
        "prefect.state-timestamp": running.timestamp.isoformat(),
        "prefect.state-type": "RUNNING",
    }
    assert [(one.role, one.id, one.name) for one in second.related] == [
        ("flow", f"prefect.flow.{flow_run.flow_id}", "daily"),
        ("tag", "prefect.tag.of-flow", None),
        ("tag", "prefect.tag.of-run", None),
    ]
    assert second.payload == {
        "intended": {"from": "PENDING", "to": "RUNNING"},
        "initial_state": {"type": "PENDING", "name": "Pending"},
        "validated_state": {"type": "RUNNING", "name": "Running", "message": "off we go"},
    }
    published = [event for topic, messages in server.published if topic == "events" for event in messages]
    assert [event.model_dump(mode="json") for event in published[-2:]] == [event.model_dump(mode="json") for event in (first, second)]


def test_what_is_not_written_is_not_told(server: Any, flow_run: Any) -> None:
    propose(server, flow_run, "RUNNING")
    propose(server, flow_run, "COMPLETED")
    propose(server, flow_run, "CANCELLING")  # refused: the run has ended
    assert [event.event for event in told(server, "prefect.flow-run.")] == [
        f"prefect.flow-run.{name}" for name in ("Pending", "Running", "Completed")
    ]


def test_an_embedded_process_tells_nothing(server: Any, flow_run: Any) -> None:
    before = len(told(server))
    propose(server, flow_run, "RUNNING", EMBEDDED)
    server.answer(variables.CREATE_VARIABLE, VariableCreate(name="v", value=1), EMBEDDED)
    server.answer(records.RECORD, {"task_runs": [record(flow_run)]}, EMBEDDED)
    assert len(told(server)) == before


# --- task runs that our engine reports -------------------------------------------------------------------------------


def record(run: Any, *names: str, id: UUID | None = None) -> dict[str, Any]:
    now = clock.now_us()
    history = [
        [str(ids.new()), name.upper(), name, now + n, None, None, {"retriable": True}] for n, name in enumerate(names or ("Pending", "Running"))
    ]
    return {
        "id": str(id or ids.new()),
        "flow_run_id": str(run.id),
        "name": "add-1",
        "task_key": "add",
        "dynamic_key": str(ids.new()),
        "run_count": 1,
        "expected_start_time": now,
        "start_time": now,
        "end_time": now + 5,
        "total_run_time": 0.5,
        "states": history,
    }


def test_reported_states_of_task_runs_are_told_once(server: Any, flow_run: Any) -> None:
    first = record(flow_run, "Pending", "Running")
    server(records.RECORD, {"task_runs": [first]})
    second = {**first, "states": [first["states"][-1], [str(ids.new()), "COMPLETED", "Completed", clock.now_us() + 9, "done", None, None]]}
    server(records.RECORD, {"task_runs": [second]})
    pending, running, completed = told(server, "prefect.task-run.")
    assert [str(one.id) for one in (pending, running, completed)] == [first["states"][0][0], first["states"][1][0], second["states"][1][0]]
    assert [one.follows for one in (pending, running, completed)] == [None, pending.id, running.id]
    assert completed.resource.root | {"prefect.state-timestamp": ""} == {
        "prefect.resource.id": f"prefect.task-run.{first['id']}",
        "prefect.resource.name": "add-1",
        "prefect.run-count": "1",
        "prefect.state-message": "done",
        "prefect.state-name": "Completed",
        "prefect.state-timestamp": "",
        "prefect.state-type": "COMPLETED",
        "prefect.orchestration": "client",
    }
    assert [one.role for one in completed.related] == ["flow-run", "flow", "tag", "tag"]
    assert completed.payload["intended"] == {"from": "RUNNING", "to": "COMPLETED"}
    assert completed.payload["initial_state"] == {"type": "RUNNING", "name": "Running", "message": "", "state_details": {"retriable": True}}
    assert completed.payload["task_run"]["task_key"] == "add"


def test_a_state_goes_on_from_one_of_an_earlier_report(server: Any, flow_run: Any) -> None:
    first = record(flow_run, "Pending", "Running")
    server(records.RECORD, {"task_runs": [first]})
    server(records.RECORD, {"task_runs": [{**first, "states": [[str(ids.new()), "FAILED", "Failed", clock.now_us() + 9, None, None, None]]}]})
    failed = told(server, "prefect.task-run.")[-1]
    assert (failed.payload["intended"], str(failed.follows)) == ({"from": "RUNNING", "to": "FAILED"}, first["states"][1][0])


# --- task runs that foreign clients tell of --------------------------------------------------------------------------

START = clock.now()


def state_event(run_id: UUID, n: int, name: str, run: Any = None, **task_run: Any) -> SentEvent:
    """Return what the foreign client sends for the n-th state of a task run."""
    occurred = START + timedelta(seconds=n)
    related = [] if run is None else [{"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run"}]
    labels = {"prefect.resource.id": f"prefect.task-run.{run_id}", "prefect.resource.name": "add-811", "prefect.orchestration": "client"}
    what = {"name": "add-811", "task_key": "add-ce9d8301", "dynamic_key": str(run_id), "tags": ["t"], "labels": {"l": 1}}
    more = {
        "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 2, "retry_delay": 0.1},
        "task_inputs": {"x": [{"input_type": "constant", "type": "int"}]},
        "run_count": n,
        "flow_run_run_count": 1,
        "expected_start_time": START.isoformat(),
        "start_time": START.isoformat(),
        "total_run_time": 1.5,
    }
    payload = {
        "intended": {"from": None, "to": name.upper()},
        "initial_state": None,
        "validated_state": {"type": name.upper(), "name": name, "message": "", "state_details": {"untrackable_result": True}, "data": None},
        "task_run": {**what, **more, **task_run},
    }
    return SentEvent.model_validate(
        {"id": ids.new(), "occurred": occurred, "event": f"prefect.task-run.{name}", "resource": labels, "related": related, "payload": payload}
    )


def read(server: Any, id: UUID) -> Any:
    return server(task_runs.READ_TASK_RUN, id=id)


def test_a_task_run_is_what_its_newest_event_tells(server: Any, flow_run: Any) -> None:
    id = ids.new()
    history = [state_event(id, n, name, flow_run) for n, name in enumerate(("Pending", "Running", "Completed"))]
    server(RECORD_EVENTS, history)
    found = read(server, id)
    assert (found.name, found.task_key, found.flow_run_id, found.tags, found.labels) == ("add-811", "add-ce9d8301", flow_run.id, ["t"], {"l": 1})
    assert (found.run_count, found.state_name, found.state_id, found.total_run_time) == (2, "Completed", history[2].id, timedelta(seconds=1.5))
    assert (found.empirical_policy.retries, found.empirical_policy.retry_delay, found.start_time) == (2, 0.1, START)
    assert found.task_inputs["x"][0].type == "int"
    assert found.state.state_details.untrackable_result is True
    assert [(one.id, one.name) for one in server(states.READ_TASK_RUN_STATES, task_run_id=id)] == [
        (one.id, one.resource.get("prefect.state-name") or one.event.rsplit(".", 1)[1]) for one in history
    ]


@pytest.mark.parametrize("seed", range(5))
def test_order_repetition_and_batches_make_no_difference(server: Any, flow_run: Any, seed: int) -> None:
    chance = random.Random(seed)
    ends = {ids.new(): chance.randrange(2, 6) for _ in range(3)}
    events = [state_event(id, n, "Completed" if n == last else "Running", flow_run) for id, last in ends.items() for n in range(last + 1)]
    sent = events + chance.sample(events, 4)
    chance.shuffle(sent)
    while sent:
        size = chance.randrange(1, 6)
        server(RECORD_EVENTS, sent[:size])
        sent = sent[size:]
    for id, last in ends.items():
        found = read(server, id)
        assert (found.state_type, found.run_count) == ("COMPLETED", last)
        assert len(server(states.READ_TASK_RUN_STATES, task_run_id=id)) == last + 1


def test_a_run_that_is_stored_under_another_id_is_known_by_its_keys(server: Any, flow_run: Any) -> None:
    body = TaskRunCreate(flow_run_id=flow_run.id, task_key="add", dynamic_key="0", name="placeholder")
    made = server(task_runs.CREATE_TASK_RUN, body)
    other = ids.new()
    server(RECORD_EVENTS, [state_event(other, n, "Running", flow_run, task_key="add", dynamic_key="0") for n in (60_000, 60_001)])
    found = read(server, made.id)
    assert (found.name, found.state_name) == ("add-811", "Running")
    with pytest.raises(ObjectNotFound):
        read(server, other)


def test_a_run_without_a_flow_run_is_recorded(server: Any) -> None:
    id = ids.new()
    server(RECORD_EVENTS, [state_event(id, 0, "Running")])
    assert (read(server, id).flow_run_id, read(server, id).state_name) == (None, "Running")


def test_events_that_tell_nothing_sensible_are_kept_and_harm_no_other(server: Any, flow_run: Any, caplog: pytest.LogCaptureFixture) -> None:
    id = ids.new()
    odd = [state_event(ids.new(), 0, "Running", flow_run) for _ in range(4)]
    odd[0].payload = {}
    odd[1].payload["validated_state"]["type"] = "DANCING"
    odd[2].resource.root["prefect.resource.id"] = "prefect.task-run.x"
    odd[3].related[0].root["prefect.resource.id"] = "prefect.flow-run.x"
    silent = state_event(ids.new(), 0, "Running", flow_run)
    del silent.resource.root["prefect.orchestration"]
    server(RECORD_EVENTS, [*odd, silent, state_event(id, 0, "Running", flow_run)])
    assert read(server, id).state_name == "Running"
    assert len(told(server, "prefect.task-run.")) == 6
    assert caplog.text.count("tells of no task run that can be recorded") == 4
    assert str(silent.id) not in caplog.text


# --- objects ----------------------------------------------------------------------------------------------------------


def test_changes_of_objects_are_told(server: Any) -> None:
    flow = server(flows.CREATE_FLOW, FlowCreate(name="f"))
    server(flows.CREATE_FLOW, FlowCreate(name="f"))
    server(flows.UPDATE_FLOW, FlowUpdate(tags=["x"]), id=flow.id)
    server(run_queries.BULK_DELETE_FLOWS, FlowBulkDelete())
    server(variables.CREATE_VARIABLE, VariableCreate(name="v", value=1))
    server(variables.UPDATE_VARIABLE_BY_NAME, VariableUpdate(name="w"), name="v")
    server(variables.DELETE_VARIABLE_BY_NAME, name="w")
    limit = server(concurrency.CREATE_LIMIT, ConcurrencyLimitV2Create(name="l", limit=1))
    server(concurrency.UPDATE_LIMIT, ConcurrencyLimitV2Update(limit=2), id_or_name="l")
    server(concurrency.DELETE_LIMIT, id_or_name="l")
    server(concurrency.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="t", concurrency_limit=1))
    found = [(event.event, event.resource.name) for event in told(server)]
    happened = ("created", "updated", "deleted")
    assert found == [
        *((f"prefect.flow.{one}", "f") for one in happened),
        ("prefect.variable.created", "v"),
        ("prefect.variable.updated", "w"),
        ("prefect.variable.deleted", "w"),
        *((f"prefect.concurrency-limit.{one}", "l") for one in happened),
        ("prefect.concurrency-limit.created", "tag:t"),
    ]
    created, updated = told(server, "prefect.flow.")[:2]
    assert (created.resource.id, created.payload["tags"], updated.payload["tags"]) == (f"prefect.flow.{flow.id}", [], ["x"])
    changed = told(server, "prefect.concurrency-limit.updated")[0]
    assert (changed.payload["limit"], changed.resource.id) == (2, f"prefect.concurrency-limit.{limit.id}")
    assert datetime.fromisoformat(changed.payload["updated"]).tzinfo is not None


def test_a_collection_of_artifacts_is_told_of_by_what_it_shows(server: Any, flow_run: Any) -> None:
    def make(key: str | None) -> Any:
        return server(artifacts.CREATE_ARTIFACT, ArtifactCreate(key=key, type="text", data="secret text", flow_run_id=flow_run.id))

    make(None)
    first, second = make("report"), make("report")
    server(artifacts.UPDATE_ARTIFACT, ArtifactUpdate(description="d"), id=first.id)  # not shown any more
    server(artifacts.UPDATE_ARTIFACT, ArtifactUpdate(description="d"), id=second.id)
    server(artifacts.DELETE_ARTIFACT, id=second.id)
    server(artifacts.DELETE_ARTIFACT, id=first.id)
    found = told(server, "prefect.artifact-collection.")
    shown = [(event.event.rsplit(".", 1)[1], event.related[0].id.rsplit(".", 1)[1]) for event in found]
    assert shown == [
        ("created", str(first.id)),
        ("updated", str(second.id)),
        ("updated", str(second.id)),
        ("updated", str(first.id)),
        ("deleted", str(first.id)),
    ]
    assert {(event.resource.id, event.resource.name) for event in found} == {(f"prefect.artifact-collection.{first.id}", "report")}
    assert [one.role for one in found[0].related] == ["latest", "flow-run"]
    assert "secret text" not in str(found)
