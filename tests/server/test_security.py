"""Nobody comes in without credentials where there are some, and nothing that is secret goes out."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from headrace.server import pages
from headrace.server.routes import known_endpoints
from headrace.testing.server import running_server

SECRET = "admin:pässword"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HEADRACE_SERVER_API_AUTH_STRING", SECRET)
    monkeypatch.setenv("HEADRACE_SERVER_METRICS_ENABLED", "1")
    with running_server() as url:
        yield url


def every_route() -> Iterator[tuple[str, str]]:
    for endpoint in known_endpoints():
        yield endpoint.method, "/api" + endpoint.path
    for base, table in (("/api", pages.INSIDE), ("", pages.OUTSIDE)):
        for method, path, _ in table:
            yield method, base + path


OPEN = {"/api/health", "/api/ready", "/", "/ui-settings"}


def test_every_route_is_closed_without_credentials(guarded: str) -> None:
    origin = guarded.removesuffix("/api")
    routes = list(every_route())
    assert len(routes) > 180
    with httpx.Client(base_url=origin, timeout=30) as http:
        for method, path in routes:
            filled = re.sub(r"{\w*id}", str(uuid4()), path)
            answer = http.request(method, re.sub(r"{\w+}", "x", filled))
            if path in OPEN:
                assert answer.status_code == 200, path
            else:
                assert (answer.status_code, answer.json()) == (401, {"exception_message": "Unauthorized"}), (method, path)


def test_every_websocket_is_closed_without_credentials(guarded: str) -> None:
    from headrace.server.app import Application
    from headrace.server.streams.hub import Streams

    host, port = guarded.removeprefix("http://").removesuffix("/api").split(":")
    paths = ["/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled"]
    assert set(paths) <= set(_stream_paths(Streams, Application))
    for path in _stream_paths(Streams, Application):
        filled = re.sub(r"{\w+}", "x", path)
        head = f"GET /api{filled} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as wire:
            wire.sendall(f"{head}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
            assert wire.recv(64).startswith(b"HTTP/1.1 403"), path


def _stream_paths(streams: type, application: type) -> list[str]:
    from headrace.server.lanes import Lane
    from headrace.settings import get_current_settings
    from headrace.store.database import Database

    async def listed() -> list[str]:
        made = streams(Database("sqlite://"), Lane("a", 1), Lane("b", 1), get_current_settings())
        return list(made.routes())

    import asyncio

    return asyncio.run(listed())


@pytest.mark.parametrize(
    "path", ["/api/x/../health", "/api/health/", "/api//health", "/api/health%2F..", "/api/flows/filter?/api/health", "/health", "//api/health"]
)
def test_only_the_exact_paths_are_open(guarded: str, path: str) -> None:
    host, port = guarded.removeprefix("http://").removesuffix("/api").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: /api/health\r\nConnection: close\r\n\r\n".encode())
        assert wire.recv(64).split()[1] in (b"401", b"400")


def test_the_right_credentials_open_and_others_do_not(guarded: str) -> None:
    def status(header: str | None) -> int:
        return httpx.get(f"{guarded}/version", headers={"authorization": header} if header else {}).status_code

    assert [status(basic(SECRET)), status(basic(SECRET).replace("Basic", "basic"))] == [200, 200]
    wrong = [None, "", "Basic", "Basic !", basic(SECRET)[:-2], basic("admin:"), basic(SECRET + "x"), "Bearer " + SECRET.encode().hex()]
    assert [status(header) for header in wrong] == [401] * len(wrong)


def test_metrics_are_told_to_those_who_may_ask(guarded: str) -> None:
    with httpx.Client(base_url=guarded, headers={"authorization": basic(SECRET)}, timeout=30) as http:
        flow = http.post("/flows/", json={"name": "f"}).json()
        http.post("/flow_runs/", json={"flow_id": flow["id"], "state": {"type": "FAILED"}})
        answer = http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'headrace_flow_runs{state="failed"} 1' in lines
    assert 'headrace_http_requests_total{method="POST",status="201"} 2' in lines
    assert all(re.fullmatch(r'# (HELP|TYPE) \w+ .*|\w+({\w+="\w+"(,\w+="\w+")*})? [\d.e+-]+', line) for line in lines)


def test_settings_hide_secrets(guarded: str) -> None:
    shown = httpx.get(f"{guarded}/admin/settings", headers={"authorization": basic(SECRET)})
    assert shown.status_code == 200
    assert "pässword" not in shown.text


def test_browsers_must_send_back_their_token_where_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_API_CSRF_PROTECTION_ENABLED", "1")
    with running_server() as url, httpx.Client(base_url=url, timeout=30) as http:

        def create(**headers: str) -> tuple[int, str | None]:
            answer = http.post("/flows/", json={"name": "x"}, headers={f"prefect-csrf-{key}": value for key, value in headers.items()})
            return answer.status_code, answer.json().get("detail")

        given = http.get("/csrf-token", params={"client": "me"}).json()
        assert re.fullmatch("[0-9a-f]{64}", given["token"])
        assert create() == (403, "Missing CSRF token.")
        assert create(token=given["token"]) == (403, "Missing client identifier.")
        assert create(token="x", client="me") == (403, "Invalid CSRF token or client identifier.")
        assert create(token=given["token"], client="other") == (403, "Invalid CSRF token or client identifier.")
        assert create(token=given["token"], client="me") == (201, None)
        assert http.get("/csrf-token", params={"client": "me"}).json()["token"] != given["token"]
        assert create(token=given["token"], client="me") == (403, "Invalid CSRF token or client identifier.")
        assert http.get("/version").status_code == 200
        assert http.get("/csrf-token").status_code == 422


def test_origins_can_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_API_CORS_ALLOWED_ORIGINS", "http://a, http://b")
    with running_server() as url:
        allowed, other = (httpx.get(f"{url}/version", headers={"Origin": origin}).headers for origin in ("http://b", "http://c"))
        assert allowed["access-control-allow-origin"] == "http://b"
        assert "access-control-allow-origin" not in other
