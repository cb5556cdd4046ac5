"""Whatever is sent, the answer is the client's fault or a success, never a failure of the server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

LONG = 2**70
BODIES: list[tuple[str, str, bytes]] = [
    ("POST", "/flows/", b"{"),
    ("POST", "/flows/", b"\xff\xfe"),
    ("POST", "/flows/", b'{"name": "\\ud800"}'),
    ("POST", "/flows/", b'{"name": "a\\u0000b"}'),
    ("POST", "/flows/", b"[" * 100_000),
    ("POST", "/flows/", b'{"name": "x", "labels": {"a": NaN}}'),
    ("POST", "/flows/", b'{"name": "x", "labels": {"a": Infinity}}'),
    ("POST", "/variables/", b'{"name": "x", "value": 1e400}'),
    ("POST", "/flows/", b'{"name": null}'),
    ("POST", "/flows/", b"null"),
    ("POST", "/flows/", b""),
    ("POST", "/flows/", b"[]"),
    ("POST", "/flows/filter", b'{"offset": %d}' % LONG),
    ("POST", "/flows/filter", b'{"limit": %d}' % LONG),
    ("POST", "/flows/paginate", b'{"page": %d}' % LONG),
    ("POST", "/logs/filter", b'{"logs": {"level": {"ge_": %d}}}' % LONG),
    ("POST", "/logs/", b'[{"name": "x", "level": %d, "message": "m", "timestamp": "2026-01-01T00:00:00Z"}]' % LONG),
    ("POST", "/flow_runs/filter", b'{"flow_runs": {"start_time": {"before_": "9999-99-99"}}}'),
    (
        "POST",
        "/flow_runs/history",
        b'{"history_start": "0001-01-01T00:00:00Z", "history_end": "9999-12-31T23:59:59Z", "history_interval_seconds": 1}',
    ),
    ("POST", "/flow_runs/history", b'{"history_start": "2026-01-01", "history_end": "2026-01-02", "history_interval_seconds": 1e300}'),
    ("POST", "/flow_runs/history", b'{"history_start": "2026-01-01", "history_end": "2026-01-02", "history_interval_seconds": "P999999999Y"}'),
    ("POST", "/v2/concurrency_limits/", b'{"name": "x", "limit": %d}' % LONG),
    ("POST", "/records", b'{"task_runs": [{}]}'),
    ("POST", "/records", b'{"task_runs": [1], "logs": [[1]]}'),
    ("POST", "/saved_searches/", b"{}"),
    ("POST", "/templates/validate", json.dumps("{{" * 10_000).encode()),
    ("POST", "/templates/validate", json.dumps("{{" + "(" * 10_000).encode()),
    ("POST", "/ui/schemas/validate", b'{"schema": {"type": 1, "properties": {"a": 3}, "required": 7, "pattern": "("}, "values": {"a": []}}'),
]
PATHS = ["/variables/name/a%00b", "/flows/name/%ff%fe", "/flows/name/%ED%A0%80", "/block_types/slug/%00", "/flows/" + "9" * 5000, "/%2e%2e/%2e%2e"]


def test_no_body_makes_the_server_fail(http: httpx.Client) -> None:
    for method, path, body in BODIES:
        answer = http.request(method, path, content=body)
        assert 400 <= answer.status_code < 500, (path, body[:100], answer.text)
        json.loads(answer.text, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    assert http.get("/ready").status_code == 200


def test_no_path_and_no_query_makes_the_server_fail(http: httpx.Client) -> None:
    for path in PATHS:
        assert http.get(path).status_code in (404, 405), path
    assert http.get("/flow_run_states/", params={"flow_run_id": "x"}).status_code == 422
    assert http.get("/flow_run_states/").json()["exception_detail"][0]["loc"] == ["query", "flow_run_id"]


def test_a_program_that_logs_nul_characters_is_not_refused(http: httpx.Client) -> None:
    line = {"name": "x", "level": 20, "message": "a\0b \\u0000", "timestamp": "2026-01-01T00:00:00Z"}
    assert http.post("/logs/", json=[line]).status_code == 201
    assert [one["message"] for one in http.post("/logs/filter").json()] == ["ab \\u0000"]


def test_parameters_are_refused_when_they_are_too_long(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.testing.server import running_server

    monkeypatch.setenv("HEADRACE_SERVER_API_MAX_PARAMETER_SIZE", "100")
    with running_server() as url, httpx.Client(base_url=url, timeout=30) as http:
        flow = http.post("/flows/", json={"name": "probe", "tags": ["x" * 200]}).json()
        short = http.post("/flow_runs/", json={"flow_id": flow["id"], "parameters": {"a": 1}, "tags": ["x" * 200]})
        long = http.post("/flow_runs/", json={"flow_id": flow["id"], "parameters": {"a": "x" * 100}})
        assert (short.status_code, long.status_code) == (201, 422)
        assert "maximum size of 100 bytes: these have 108" in long.json()["detail"]


def test_secrets_of_blocks_are_not_sent_back(http: httpx.Client) -> None:
    for body in ('{"data": {"password": "hush"}}', '{"data": {"password": "hush"', '{"name": "hush\\u0000"}'):
        answer = http.post("/block_documents/", content=body)
        assert answer.status_code == 422
        assert "hush" not in answer.text
