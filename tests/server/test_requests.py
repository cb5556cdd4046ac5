"""Requests as foreign clients send them, and the statuses and shapes that they rely on."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

MISSING = uuid4()


def made(http: httpx.Client, path: str, body: Any) -> dict[str, Any]:
    answer = http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def flow(http: httpx.Client) -> dict[str, Any]:
    return made(http, "/flows/", {"name": "probe", "tags": ["a"]})


@pytest.fixture
def run(http: httpx.Client, flow: dict[str, Any]) -> dict[str, Any]:
    return made(http, "/flow_runs/", {"flow_id": flow["id"]})


TOLD = {"/health": True, "/ready": {"message": "OK"}, "/version": "0.8.4", "/hello": "👋", "/admin/version": "3.8.8"}


def test_the_server_tells_of_itself(http: httpx.Client) -> None:
    for path, expected in TOLD.items():
        answer = http.get(path)
        assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (200, expected, "application/json")


REFUSALS = [
    ("GET", "/nope", 404, {"detail": "Not Found"}),
    ("GET", "/metrics", 404, {"detail": "Not Found"}),
    ("GET", "/flows/not-a-uuid", 404, {"detail": "Not Found"}),
    ("GET", f"/flows/{MISSING}", 404, {"detail": "Flow not found"}),
    ("GET", f"/flow_runs/{MISSING}", 404, {"detail": "Flow run not found"}),
    ("DELETE", f"/task_runs/{MISSING}", 404, {"detail": "Task not found"}),
    ("GET", "/flows/filter", 405, {"detail": "Method Not Allowed"}),
    ("GET", "/csrf-token?client=abc", 422, {"detail": "CSRF protection is disabled."}),
    ("GET", f"/flow_runs/{MISSING}/graph-v2", 404, {"exception_message": f"Flow run {MISSING} not found"}),
    ("POST", "/flows/filter", 422, {"detail": "Invalid limit: must be less than or equal to 200."}),
    ("POST", f"/flow_runs/{MISSING}/set_state", 404, {"exception_message": f"Flow run with id {MISSING} not found"}),
]


def test_refusals_have_the_documented_shape(http: httpx.Client) -> None:
    for method, path, status, body in REFUSALS:
        answer = http.request(method, path, json={"limit": 201, "state": {"type": "RUNNING"}})
        assert (answer.status_code, answer.json()) == (status, body)


def test_what_was_missing_is_told_beside_the_documented_words(http: httpx.Client) -> None:
    assert http.get(f"/flows/{MISSING}").headers["x-headrace-reason"] == f"no flow has the id {MISSING}."
    assert "\n" not in http.get("/flows/name/no%0Asuch").headers["x-headrace-reason"]


def test_what_was_not_said_of_retries_is_null(http: httpx.Client, flow: dict[str, Any], run: dict[str, Any]) -> None:
    assert (run["empirical_policy"]["retries"], run["empirical_policy"]["retry_delay"]) == (None, None)
    http.post(f"/flow_runs/{run['id']}/set_state", json={"state": {"type": "RUNNING"}})
    http.post(f"/flow_runs/{run['id']}/set_state", json={"state": {"type": "PAUSED", "state_details": {"pause_key": "p"}}})
    assert http.get(f"/flow_runs/{run['id']}").json()["empirical_policy"]["retries"] is None
    older = made(http, "/flow_runs/", {"flow_id": flow["id"], "empirical_policy": {"max_retries": 2}})
    assert older["empirical_policy"]["retries"] == 2


def test_states_have_their_timestamp_and_the_ids_of_their_runs(http: httpx.Client, run: dict[str, Any]) -> None:
    task = made(http, "/task_runs/", {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0", "task_inputs": {}})
    refused = http.post(f"/task_runs/{task['id']}/set_state", json={"state": {"type": "RUNNING"}}).json()
    assert refused["status"] == "ABORT"
    assert not {"created", "updated"} & set(refused["state"])
    assert (refused["state"]["state_details"]["flow_run_id"], refused["state"]["state_details"]["task_run_id"]) == (run["id"], task["id"])


VERSIONS = {
    "0.8.4": None,
    "9.9.9": None,
    "0.7.9": "The request specified API version 0.7.9 but this server requires version 0.8.0 or higher.",
    "abc": "Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received abc",
}


def test_api_versions_are_checked(http: httpx.Client) -> None:
    for version, text in VERSIONS.items():
        answer = http.get("/hello", headers={"X-PREFECT-API-VERSION": version})
        assert (answer.status_code, answer.json()) == ((200, "👋") if text is None else (400, {"detail": text}))
        assert http.get("/health", headers={"X-PREFECT-API-VERSION": version}).status_code == 200


UNFIT = [
    ({"tags": ["a"]}, {"type": "missing", "loc": ["body", "name"], "msg": "Field required", "input": {"tags": ["a"]}}),
    ({"name": "zz", "nope": 1}, {"type": "extra_forbidden", "loc": ["body", "nope"], "msg": "Extra inputs are not permitted", "input": 1}),
]


def test_what_does_not_fit_is_told_piece_by_piece(http: httpx.Client) -> None:
    for body, problem in UNFIT:
        answer = http.post("/flows/", json=body)
        assert answer.status_code == 422
        assert answer.json() == {"exception_message": "Invalid request received.", "exception_detail": [problem], "request_body": body}


def test_lists_take_an_empty_body_and_ignore_unknown_names_at_the_top(http: httpx.Client, flow: dict[str, Any]) -> None:
    assert [one["id"] for one in http.post("/flows/filter").json()] == [flow["id"]]
    assert http.post("/flows/filter", json={"nope": 1, "limit": 0}).json() == []
    assert http.post("/flows/count").json() == 1
    assert http.post("/flows/paginate").json()["pages"] == 1
    assert http.post("/flows/filter", json={"flows": {"nope": {}}}).status_code == 422


def test_bodies_are_json_whatever_their_type_says(http: httpx.Client) -> None:
    request = http.build_request("POST", "/flows/", content=b'{"name": "x"}')
    assert "content-type" not in request.headers
    assert http.send(request).status_code == 201


def test_slashes_are_redirected(http: httpx.Client) -> None:
    answer = http.post("/flows", json={"name": "x"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{http.base_url}flows/")
    assert http.post("/flows", json={"name": "x"}, follow_redirects=True).status_code == 201


def test_creating_again_finds_what_is_there(http: httpx.Client, flow: dict[str, Any]) -> None:
    again = http.post("/flows/", json={"name": "probe", "tags": ["b"]})
    assert (again.status_code, again.json()) == (200, flow)
    keyed = {"flow_id": flow["id"], "idempotency_key": "k"}
    first, second = http.post("/flow_runs/", json=keyed), http.post("/flow_runs/", json=keyed)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    task = {"task_key": "t", "dynamic_key": "0", "flow_run_id": first.json()["id"], "name": None}
    assert [http.post("/task_runs/", json=task).status_code for _ in range(2)] == [201, 200]
    limit = {"tag": "t", "concurrency_limit": 1}
    assert [http.post("/concurrency_limits/", json=limit).status_code for _ in range(2)] == [201, 200]


def propose(http: httpx.Client, run: dict[str, Any], state: dict[str, Any], **more: Any) -> tuple[int, str, str | None]:
    answer = http.post(f"/flow_runs/{run['id']}/set_state", json={"state": state, **more})
    decision = answer.json()
    return answer.status_code, decision["status"], (decision["state"] or {}).get("name")


def test_a_proposal_that_writes_a_state_is_answered_with_201(http: httpx.Client, run: dict[str, Any]) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert propose(http, run, {"type": "PENDING"}) == (200, "ABORT", "Pending")
    assert propose(http, run, {"type": "SCHEDULED", "state_details": {"scheduled_time": later}}) == (201, "ACCEPT", "Scheduled")
    assert propose(http, run, {"type": "RUNNING"}) == (200, "WAIT", "Scheduled")
    assert propose(http, run, {"type": "CANCELLING"}) == (201, "REJECT", "Cancelled")
    assert propose(http, run, {"type": "RUNNING"}) == (201, "ACCEPT", "Running")
    assert propose(http, run, {"type": "PAUSED", "state_details": {"pause_key": "p", "pause_timeout": later}}) == (201, "ACCEPT", "Paused")
    resumed = [http.post(f"/flow_runs/{run['id']}/resume", json={}) for _ in range(2)]
    assert [(one.status_code, one.json()["status"]) for one in resumed] == [(201, "ACCEPT"), (200, "ABORT")]
    assert propose(http, run, {"type": "COMPLETED", "data": {"storage_key": "x"}}, force=True) == (201, "ACCEPT", "Completed")
    assert propose(http, run, {"type": "RUNNING"}) == (200, "REJECT", "Completed")


def test_times_and_durations_have_the_documented_form(http: httpx.Client, run: dict[str, Any]) -> None:
    assert datetime.strptime(run["created"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert isinstance(run["total_run_time"], float)
    assert run["deployment_id"] is None
    blank = run["created"].replace("T", " ").replace("Z", "+00:00")
    found = http.post("/flow_runs/filter", json={"flow_runs": {"expected_start_time": {"before_": blank}}})
    assert found.status_code == 200


def test_inputs_are_read_back_as_text(http: httpx.Client, run: dict[str, Any]) -> None:
    path = f"/flow_runs/{run['id']}/input"
    created = http.post(path, json={"key": "k", "value": '"v"', "sender": None})
    assert (created.status_code, created.json()) == (201, None)
    assert http.post(path, json={"key": "k", "value": "1"}).status_code == 409
    read = http.get(f"{path}/k")
    assert (read.text, read.headers["content-type"]) == ('"v"', "text/plain; charset=utf-8")
    assert http.get(f"{path}/zz").status_code == 404


def test_names_in_paths_may_hold_slashes(http: httpx.Client) -> None:
    made(http, "/concurrency_limits/", {"tag": "a/b", "concurrency_limit": 1})
    assert http.get("/concurrency_limits/tag/a%2Fb").json()["tag"] == "a/b"


def test_logs_are_downloaded_as_csv(http: httpx.Client, run: dict[str, Any]) -> None:
    lines = [
        {"name": "x", "level": 20, "message": f'"{n}", said\nshe', "timestamp": f"2026-01-01T00:00:0{n}Z", "flow_run_id": run["id"]} for n in (2, 1)
    ]
    assert http.post("/logs/", json=lines).json() is None
    answer = http.get(f"/flow_runs/{run['id']}/logs/download")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{run['name']}-logs.csv")
    first, *rest = answer.text.split("\r\n")
    assert first == "timestamp,level,flow_run_id,task_run_id,message"
    assert rest[0] == f'2026-01-01T00:00:01+00:00,INFO,{run["id"]},,"""1"", said\nshe"'
    assert http.get(f"/flow_runs/{MISSING}/logs/download").status_code == 404


def test_long_answers_are_packed_for_clients_that_can_unpack(http: httpx.Client) -> None:
    for n in range(120):
        made(http, "/flows/", {"name": f"flow-{n}"})
    with http.stream("POST", "/flows/filter", headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join(packed.iter_raw())
    plain = http.post("/flows/filter", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content


def test_browsers_of_any_origin_may_ask_by_default(http: httpx.Client) -> None:
    asked = http.options("/flows/filter", headers={"Origin": "http://x", "Access-Control-Request-Method": "POST"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")
    assert http.post("/flows/filter", headers={"Origin": "http://x"}).headers["access-control-allow-origin"] == "*"


def test_automations_are_named_as_creators(http: httpx.Client, flow: dict[str, Any]) -> None:
    id = str(uuid4())
    headers = {"Prefect-Automation-Id": id, "Prefect-Automation-Name": "bmFtZQ=="}
    created = http.post("/flow_runs/", json={"flow_id": flow["id"]}, headers=headers).json()
    assert created["created_by"] == {"id": id, "type": "AUTOMATION", "display_value": "name"}


def test_a_process_can_be_named_as_the_owner_of_a_run(http: httpx.Client, flow: dict[str, Any]) -> None:
    owner = str(uuid4())
    run = http.post("/flow_runs/", json={"flow_id": flow["id"]}, headers={"X-Headrace-Owner": owner}).json()
    assert http.post(f"/owners/{owner}/crash").json() == 1
    assert http.get(f"/flow_runs/{run['id']}").json()["state_type"] == "CRASHED"
    assert http.post("/flow_runs/", json={"flow_id": flow["id"]}, headers={"X-Headrace-Owner": "me"}).status_code == 400


def test_searches_are_saved_by_name(http: httpx.Client) -> None:
    search = {"name": "s", "filters": [{"object": "flow", "property": "name", "type": "string", "operation": "=", "value": "x"}]}
    first, second = http.put("/saved_searches/", json=search), http.put("/saved_searches/", json={**search, "filters": []})
    assert (first.status_code, second.status_code, second.json()["filters"]) == (201, 200, [])
    assert [one["id"] for one in http.post("/saved_searches/filter").json()] == [first.json()["id"]]
    assert [http.delete(f"/saved_searches/{first.json()['id']}").status_code for _ in range(2)] == [204, 404]


def test_templates_are_checked(http: httpx.Client) -> None:
    for path in ("/templates/validate", "/automations/templates/validate"):
        assert http.post(path, json="{{ a }}").status_code == 204
        wrong = http.post(path, json="{% for %}")
        assert wrong.status_code == 422
        assert wrong.json() == {"error": {"line": 1, "message": "Expected an expression, got 'end of statement block'", "source": "{% for %}"}}
