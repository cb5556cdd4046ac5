"""Events and automations over HTTP, as foreign clients ask for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx


def event(name: str, **more: Any) -> dict[str, Any]:
    labels = {"prefect.resource.id": "probe.1"}
    return {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": name, "resource": labels, **more}


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["event"] for one in answer.json()["events"]]


def test_pages_are_read_by_their_addresses(http: httpx.Client) -> None:
    assert http.post("/events", json=[event(f"probe.{n}") for n in range(3)]).status_code == 204
    page = http.post("/events/filter", json={"filter": {"event": {"prefix": ["probe."]}}, "limit": 2})
    seen = names(page)
    assert page.json()["total"] == 3
    assert page.json()["next_page"].startswith(f"{str(http.base_url).rstrip('/')}/events/filter/next?page-token=")
    page = http.get(page.json()["next_page"])
    assert sorted(seen + names(page)) == ["probe.0", "probe.1", "probe.2"]
    assert page.json()["next_page"] is None


def test_a_stranger_to_pages_is_forbidden(http: httpx.Client) -> None:
    answer = http.get("/events/filter/next?page-token=zzz")
    assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})


def test_an_event_that_is_none_refuses_the_batch(http: httpx.Client) -> None:
    bad = event("probe.bad")
    del bad["id"]
    answer = http.post("/events", json=[event("probe.good"), bad])
    assert answer.status_code == 422
    assert answer.json()["exception_detail"][0]["loc"] == ["body", 1, "id"]
    assert names(http.post("/events/filter", json={"filter": {"event": {"prefix": ["probe."]}}})) == []


def test_an_event_with_too_many_related_resources_refuses_the_batch(http: httpx.Client) -> None:
    parts = [{"prefect.resource.id": f"part.{n}", "prefect.resource.role": "part"} for n in range(101)]
    answer = http.post("/events", json=[event("probe.good"), event("probe.bad", related=parts)])
    assert (answer.status_code, "has 101 related resources, and 100 are allowed" in answer.text) == (422, True)
    assert names(http.post("/events/filter", json={"filter": {"event": {"prefix": ["probe."]}}})) == []


def test_a_state_that_a_request_writes_is_an_event(http: httpx.Client) -> None:
    flow = http.post("/flows/", json={"name": "f"}).json()
    run = http.post("/flow_runs/", json={"flow_id": flow["id"]}).json()
    http.post(f"/flow_runs/{run['id']}/set_state", json={"state": {"type": "RUNNING"}})
    filter = {"resource": {"id": [f"prefect.flow-run.{run['id']}"]}, "order": "ASC"}
    assert names(http.post("/events/filter", json={"filter": filter})) == ["prefect.flow-run.Pending", "prefect.flow-run.Running"]
    counted = http.post("/events/count-by/resource", json={"filter": filter}).json()
    assert [(one["label"], one["count"]) for one in counted] == [(run["name"], 2)]


def test_automations_have_the_documented_statuses(http: httpx.Client) -> None:
    body = {"name": "one", "trigger": {"type": "event", "posture": "Reactive"}, "actions": []}
    made = http.post("/automations/", json=body)
    assert made.status_code == 201
    path = f"/automations/{made.json()['id']}"
    assert http.put(path, json={**body, "description": "d"}).status_code == 204
    assert http.patch(path, json={"enabled": False}).status_code == 204
    assert http.get(path).json()["enabled"] is False
    assert http.post("/automations/", json={**body, "trigger": {"type": "metric"}}).status_code == 422
    owned = http.delete("/automations/owned-by/prefect.deployment.x")
    assert (owned.status_code, owned.json()) == (202, None)
    assert http.delete(path).status_code == 204
    gone = http.get(path)
    assert (gone.status_code, gone.json()) == (404, {"exception_message": "Automation not found"})
