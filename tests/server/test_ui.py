"""Routes for user interfaces: counts and short forms of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest


def made(http: httpx.Client, path: str, **body: Any) -> str:
    answer = http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.fixture
def flow(http: httpx.Client) -> str:
    return made(http, "/flows/", name="f")


def test_deployments_and_next_runs_are_told_by_flow(http: httpx.Client, flow: str) -> None:
    other, later = str(uuid4()), datetime.now(UTC) + timedelta(hours=1)
    made(http, "/deployments/", name="d", flow_id=flow)
    for minutes in (5, 0):
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": (later + timedelta(minutes=minutes)).isoformat()}}
        run = made(http, "/flow_runs/", flow_id=flow, state=state, name=f"in-{minutes}")
    ids = {"flow_ids": [flow, other]}
    assert http.post("/ui/flows/count-deployments", json=ids).json() == {flow: 1, other: 0}
    found = http.post("/ui/flows/next-runs", json=ids).json()
    assert found[other] is None
    assert (found[flow]["id"], found[flow]["name"], found[flow]["state_type"]) == (run, "in-0", "SCHEDULED")
    assert http.post("/ui/flows/next-runs", json={"flow_ids": [flow] * 201}).status_code == 422


def test_task_runs_are_counted_by_flow_run_without_those_that_stand_for_flow_runs(http: httpx.Client, flow: str) -> None:
    parent = made(http, "/flow_runs/", flow_id=flow)
    tasks = [made(http, "/task_runs/", task_key="t", dynamic_key=str(n), flow_run_id=parent) for n in range(3)]
    made(http, "/flow_runs/", flow_id=flow, parent_task_run_id=tasks[0])
    assert http.post("/ui/flow_runs/count-task-runs", json={"flow_run_ids": [parent]}).json() == {parent: 2}


def test_flow_runs_are_points_of_a_chart(http: httpx.Client, flow: str) -> None:
    run = made(http, "/flow_runs/", flow_id=flow, state={"type": "RUNNING"})
    [point] = http.post("/ui/flow_runs/history", json={"flows": {"id": {"any_": [flow]}}}).json()
    assert (point["id"], point["state_type"]) == (run, "RUNNING")
    assert point["duration"] >= 0
    assert http.post("/ui/flow_runs/history", json={"limit": 1001}).status_code == 422
    assert http.post("/ui/flow_runs/history", json={"offset": 1}).json() == []


def test_task_runs_are_counted_by_state_and_over_time(http: httpx.Client, flow: str) -> None:
    parent = made(http, "/flow_runs/", flow_id=flow)
    begun = datetime.now(UTC) - timedelta(minutes=1)
    for number, kind in enumerate(("COMPLETED", "COMPLETED", "FAILED", "PENDING")):
        task = made(http, "/task_runs/", task_key="t", dynamic_key=str(number), flow_run_id=parent)
        for state in ("RUNNING", kind) if kind != "PENDING" else ():
            http.post(f"/task_runs/{task}/set_state", json={"state": {"type": state}, "force": True})
    counts = http.post("/ui/task_runs/count").json()
    assert {kind: count for kind, count in counts.items() if count} == {"COMPLETED": 2, "FAILED": 1, "PENDING": 1}
    stretches = http.post("/ui/task_runs/dashboard/counts", json={"task_runs": {"start_time": {"after_": begun.isoformat()}}}).json()
    assert len(stretches) == 20
    assert stretches[-1] == {"completed": 2, "failed": 1}
    assert http.post("/ui/task_runs/dashboard/counts", json={"task_runs": {}}).status_code == 422


def test_a_task_run_is_shown_with_the_name_of_its_flow_run(http: httpx.Client, flow: str) -> None:
    parent = made(http, "/flow_runs/", flow_id=flow, name="parent")
    task = made(http, "/task_runs/", task_key="t", dynamic_key="0", flow_run_id=parent)
    shown = http.get(f"/ui/task_runs/{task}").json()
    assert shown.pop("flow_run_name") == "parent"
    assert shown == {**http.get(f"/task_runs/{task}").json(), "estimated_start_time_delta": shown["estimated_start_time_delta"]}


def test_values_are_held_against_a_schema(http: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "c": {"type": "array", "items": {"$ref": "#/definitions/word"}}, "d": {"type": "string"}},
        "required": ["b"],
        "definitions": {"word": {"type": "string"}},
    }

    def problems(values: dict[str, Any]) -> Any:
        answer = http.post("/ui/schemas/validate", json={"schema": schema, "values": values}).json()
        assert answer["valid"] is (not answer["errors"])
        return answer["errors"]

    assert problems({"a": 1, "b": 2, "c": ["x"], "d": "y"}) == []
    wrong = problems({"a": "x", "c": ["x", 1], "d": "y"})
    assert [one["property"] for one in wrong] == ["a", "c", "b"]
    assert "'x', not of type integer" in wrong[0]["errors"][0]
    assert wrong[1]["errors"][0]["index"] == 1
    assert wrong[2]["errors"] == ["'b' is a required property"]


def test_settings_of_a_user_interface_are_told_to_everybody(server: str) -> None:
    told = httpx.get(f"{server.removesuffix('/api')}/ui-settings").json()
    assert (told["auth"], told["csrf_enabled"], told["available_uis"]) == (None, False, [])
    assert told.keys() == {"api_url", "csrf_enabled", "auth", "flags", "default_ui", "available_uis", "v1_base_url", "v2_base_url"}
