"""The client over the wire, against servers that say what the test tells them to."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.orchestration import get_client
from headrace.model import clock
from headrace.model.endpoints.admin import READ_VERSION
from headrace.model.endpoints.flow_runs import CREATE_FLOW_RUN, UPDATE_FLOW_RUN
from headrace.model.endpoints.flows import CREATE_FLOW, READ_FLOW_BY_NAME
from headrace.model.errors import (
    ConfigurationError,
    HeadraceException,
    HeadraceHTTPStatusError,
    InvalidRequest,
    LeaseGone,
    ObjectAlreadyExists,
    ObjectNotFound,
    ServerUnreachable,
    ServerVersionMismatch,
    SlotsUnavailable,
)
from headrace.model.flow_runs import FlowRunCreate, FlowRunUpdate
from headrace.model.flows import FlowCreate
from headrace.settings import temporary_settings
from headrace.testing.clock import ControlledClock

FLOW = {"id": str(uuid4()), "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "name": "f", "tags": [], "labels": {}}
HANG_UP = -1

Reply = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class Script:
    """What a server is to answer, in order, and what it was asked. The last answer is given again and again; the version is told beside them."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [(200, FLOW)]
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        body = json.loads(handler.rfile.read(length)) if length else None
        if handler.path.endswith("/admin/version"):
            self._send(handler, (200, "3.9.9"))
            return
        self.asked.append((handler.command, handler.path, {name.lower(): value for name, value in handler.headers.items()}, body))
        self._send(handler, self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        status, body, *headers = reply
        if status == HANG_UP:
            handler.close_connection = True
            return
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in (headers[0] if headers else {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Generator[Script, None, None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            script.answer(self)

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    script.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}/api"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def script() -> Generator[Script, None, None]:
    """A server that answers what the test says, named by the settings."""
    with serving(Script()) as made, temporary_settings({"HEADRACE_API_URL": made.url}):
        yield made


def ask(**parameters: Any) -> Any:
    return drive(current_client().call(READ_FLOW_BY_NAME, **{"name": "f", **parameters}))


def make() -> Any:
    return drive(current_client().call(CREATE_FLOW, FlowCreate(name="f")))


# --- requests ------------------------------------------------------------------------------------------------------------


def test_a_call_is_a_request_with_what_was_set(script: Script) -> None:
    run = uuid4()
    drive(current_client().call(UPDATE_FLOW_RUN, FlowRunUpdate(name="new"), id=run))
    [(method, path, headers, body)] = script.asked
    assert (method, path, body) == ("PATCH", f"/api/flow_runs/{run}", {"name": "new"})
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("headrace/")


def test_names_in_paths_are_quoted(script: Script) -> None:
    ask(name="a/b ?#é")
    assert script.asked[0][1] == "/api/flows/name/a%2Fb%20%3F%23%C3%A9"


def test_a_body_of_whatever_text_is_sent(script: Script) -> None:
    drive(current_client().call(CREATE_FLOW, FlowCreate.model_construct(name="a\udc80\0é😀")))
    assert script.asked[0][3] == {"name": "a?\0é😀"}


def test_a_created_run_has_a_key_so_that_it_can_be_asked_for_twice(script: Script) -> None:
    run = {"id": str(uuid4()), "flow_id": str(uuid4()), "name": "r"}
    script.replies = [(HANG_UP, None), (503, {"exception_message": "Service Unavailable"}), (201, run)]
    with clock.use(ControlledClock()):
        drive(current_client().call(CREATE_FLOW_RUN, FlowRunCreate(flow_id=uuid4()), owner=(owner := uuid4())))
    keys = {body["idempotency_key"] for _, _, _, body in script.asked}
    assert (len(script.asked), len(keys)) == (3, 1)
    assert {headers["x-headrace-owner"] for _, _, headers, _ in script.asked} == {str(owner)}


def test_credentials_and_custom_headers_are_sent(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"HEADRACE_API_AUTH_STRING": "me:secret", "HEADRACE_CLIENT_CUSTOM_HEADERS": '{"X-Mine": "1", "User-Agent": "no"}'}
    with temporary_settings(settings), get_client(sync_client=True, httpx_settings={"headers": {"X-Own": "2"}}) as client:
        client.read_flow_by_name("f")
    headers = script.asked[0][2]
    assert (headers["authorization"], headers["x-mine"], headers["x-own"]) == ("Basic bWU6c2VjcmV0", "1", "2")
    assert headers["user-agent"] != "no"
    assert "User-Agent" in caplog.text


def test_one_connection_serves_many_requests_and_a_closed_one_is_replaced(script: Script) -> None:
    ports: list[int] = []
    answer = script.answer
    script.answer = lambda handler: (ports.append(handler.client_address[1]), answer(handler))[1]  # type: ignore[method-assign]  # watches
    ask()
    ask()
    assert len(set(ports)) == 1
    script.replies = [(200, FLOW, {"Connection": "close"})]
    ask()
    ask()
    assert len(set(ports)) == 2


def test_an_async_caller_is_not_held_up(script: Script) -> None:
    async def main() -> list[str]:
        async with get_client() as client:
            seen = asyncio.create_task(asyncio.sleep(0, "meanwhile"))
            found = await client.read_flow_by_name("f")
            return [found.name, seen.result()]

    assert asyncio.run(main()) == ["f", "meanwhile"]


# --- answers that say no ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (404, {"detail": "No flow 'f'."}, ObjectNotFound, "No flow 'f'."),
        (404, {"exception_message": "gone"}, ObjectNotFound, "gone"),
        (409, {"detail": "taken"}, ObjectAlreadyExists, "taken"),
        (410, {"detail": "expired"}, LeaseGone, "expired"),
        (422, {"detail": "by hand"}, InvalidRequest, "by hand"),
        (400, {"detail": "too many"}, InvalidRequest, "too many"),
        (
            422,
            {"exception_message": "Invalid request received.", "exception_detail": [{"loc": ["body", "name"], "msg": "Field required"}]},
            InvalidRequest,
            "name: Field required",
        ),
        (422, {"error": {"line": 2, "message": "unexpected '}'", "source": ""}}, InvalidRequest, r"unexpected '}' \(line 2\)"),
        (401, {"exception_message": "Unauthorized"}, HeadraceHTTPStatusError, "HEADRACE_API_AUTH_STRING"),
        (500, {"exception_message": "Internal Server Error"}, HeadraceHTTPStatusError, "status 500: Internal Server Error"),
        (500, b"<html>oh</html>", HeadraceHTTPStatusError, "<html>oh</html>"),
        (307, b"", HeadraceHTTPStatusError, "HEADRACE_API_URL"),
    ],
)
def test_refusals_are_the_errors_of_operations(script: Script, status: int, body: Any, kind: type[HeadraceException], text: str) -> None:
    script.replies = [(status, body)]
    with pytest.raises(kind, match=text):
        make()
    assert len(script.asked) == 1


def test_taken_slots_say_when_to_try_again(script: Script) -> None:
    script.replies = [(423, {"detail": "locked"}, {"Retry-After": "1.5"})]
    with pytest.raises(SlotsUnavailable) as caught:
        make()
    assert caught.value.retry_after == 1.5


# --- trying again ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504, HANG_UP])
def test_what_may_pass_is_tried_again(script: Script, status: int) -> None:
    script.replies = [(status, {"detail": "busy"})] * 3 + [(200, FLOW)]
    with clock.use(ControlledClock()) as held:
        assert make().name == "f"
    assert len(script.asked) == 4
    assert [0.5 <= held.slept[0] <= 0.6, 1 <= held.slept[1] <= 1.2, 2 <= held.slept[2] <= 2.4] == [True] * 3


def test_the_wait_that_the_server_asks_for_is_kept(script: Script) -> None:
    script.replies = [(503, {}, {"Retry-After": "7.5"}), (429, {}, {"Retry-After": "soon"}), (200, FLOW)]
    with clock.use(ControlledClock()) as held:
        ask()
    assert (held.slept[0], held.slept[1] < 2) == (7.5, True)


def test_it_gives_up_after_the_retries_of_the_settings(script: Script) -> None:
    script.replies = [(503, {"exception_message": "Service Unavailable"})]
    with temporary_settings({"HEADRACE_CLIENT_MAX_RETRIES": "2"}), clock.use(ControlledClock()), get_client(sync_client=True) as client:
        with pytest.raises(ServerUnreachable, match="Service Unavailable"):
            client.read_flow_by_name("f")
    assert len(script.asked) == 3


def test_further_statuses_are_tried_again_if_the_settings_say_so(script: Script) -> None:
    script.replies = [(500, {}), (200, FLOW)]
    with temporary_settings({"HEADRACE_CLIENT_RETRY_EXTRA_CODES": "500"}), clock.use(ControlledClock()), get_client(sync_client=True) as client:
        assert client.read_flow_by_name("f").name == "f"


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api"
        with temporary_settings({"HEADRACE_API_URL": url, "HEADRACE_CLIENT_MAX_RETRIES": "0"}), get_client(sync_client=True) as client:
            assert "headrace server start" in str(client.api_healthcheck())
            with pytest.raises(ServerUnreachable, match=url):
                client.read_flow_by_name("f")


def test_an_address_that_is_none_is_refused() -> None:
    with temporary_settings({"HEADRACE_API_URL": "localhost:4200"}), pytest.raises(ConfigurationError, match="localhost:4200"):
        ask()


def test_another_version_of_the_api_is_refused(script: Script) -> None:
    script._send = lambda handler, reply: Script._send(script, handler, (200, "4.0.0"))  # type: ignore[method-assign]  # another server
    with pytest.raises(ServerVersionMismatch, match=r"4\.0\.0"):
        ask()
    with temporary_settings({"HEADRACE_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"}), get_client(sync_client=True) as client:
        assert drive(client.call(READ_VERSION)) == "4.0.0"


# --- CSRF --------------------------------------------------------------------------------------------------------------------


def test_a_token_is_fetched_when_it_is_asked_for_and_kept(script: Script) -> None:
    token = {"id": str(uuid4()), "token": "t1", "client": "c", "expiration": "2026-01-01T00:00:00Z"}
    script.replies = [(403, {"detail": "Missing CSRF token."}), (200, token), (200, FLOW), (200, FLOW)]
    make()
    make()
    assert [(method, path.split("?")[0], headers.get("prefect-csrf-token")) for method, path, headers, _ in script.asked] == [
        ("POST", "/api/flows/", None),
        ("GET", "/api/csrf-token", None),
        ("POST", "/api/flows/", "t1"),
        ("POST", "/api/flows/", "t1"),
    ]
    assert script.asked[1][1].partition("client=")[2] == script.asked[2][2]["prefect-csrf-client"]


def test_a_token_that_expired_is_replaced_once(script: Script) -> None:
    refused = (403, {"detail": "Invalid CSRF token or client identifier."})
    script.replies = [refused, (200, {"token": "t2"}), refused]
    with pytest.raises(HeadraceHTTPStatusError, match="Invalid CSRF token"):
        make()
    assert len(script.asked) == 3


# --- TLS, proxies ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for 127.0.0.1, and the file of who signed for it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return context, file


def test_certificates_are_checked_against_the_file_of_the_settings(certificate: tuple[ssl.SSLContext, Path]) -> None:
    context, file = certificate
    with serving(Script(), context) as script, temporary_settings({"HEADRACE_API_URL": script.url}):
        with pytest.raises(ServerUnreachable, match="certificate verify failed"):
            ask()
        with temporary_settings({"HEADRACE_API_SSL_CERT_FILE": str(file)}), get_client(sync_client=True) as client:
            assert client.read_flow_by_name("f").name == "f"
        with temporary_settings({"HEADRACE_API_TLS_INSECURE_SKIP_VERIFY": "1"}), get_client(sync_client=True) as client:
            assert client.read_flow_by_name("f").name == "f"


def test_a_proxy_of_the_environment_is_asked(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", script.url.removesuffix("/api").replace("//", "//me:pw@"))
    with temporary_settings({"HEADRACE_API_URL": "http://headrace.example:4200/api"}):
        assert ask().name == "f"
    method, path, headers, _ = script.asked[0]
    assert (method, path) == ("GET", "http://headrace.example:4200/api/flows/name/f")
    assert (headers["host"], headers["proxy-authorization"]) == ("headrace.example:4200", "Basic bWU6cHc=")


def test_a_proxy_is_passed_by_for_hosts_that_need_none(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert ask().name == "f"


# --- what answers otherwise --------------------------------------------------------------------------------------------------


@contextmanager
def raw(answers: list[bytes]) -> Generator[str, None, None]:
    """Answer each connection's requests with these bytes, whatever they are."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for one in answers:
                connection.recv(65_536)
                connection.sendall(one)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    finally:
        thread.join()
        listener.close()


OK = b"HTTP/1.1 200 OK\r\n"
FLOW_TEXT = json.dumps(FLOW).encode()


@pytest.mark.parametrize(
    "answer",
    [
        OK
        + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n"
        + FLOW_TEXT[:5]
        + b"\r\n%x\r\n" % (len(FLOW_TEXT) - 5)
        + FLOW_TEXT[5:]
        + b"\r\n0\r\nA: b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: %d\r\n\r\n" % len(FLOW_TEXT) + FLOW_TEXT,
        b"HTTP/1.0 200 OK\r\n\r\n" + FLOW_TEXT,
    ],
    ids=["chunked", "continue", "until-the-end"],
)
def test_bodies_come_in_every_form(answer: bytes) -> None:
    settings = {"HEADRACE_CLIENT_SERVER_VERSION_CHECK_ENABLED": "0"}
    with raw([answer]) as url, temporary_settings({"HEADRACE_API_URL": url, **settings}):
        assert ask().name == "f"


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"], ids=["not-http", "cut"])
def test_what_is_no_answer_is_told(answer: bytes) -> None:
    settings = {"HEADRACE_CLIENT_SERVER_VERSION_CHECK_ENABLED": "0", "HEADRACE_CLIENT_MAX_RETRIES": "0"}
    with raw([answer]) as url, temporary_settings({"HEADRACE_API_URL": url, **settings}), pytest.raises(ServerUnreachable, match="HTTP|whole"):
        ask()


# --- signs of life -----------------------------------------------------------------------------------------------------------


def test_a_process_with_open_runs_tells_that_it_lives(tmp_path: Path) -> None:
    from headrace import flow
    from headrace.client.recording import spool
    from headrace.client.spool import close_process_spool
    from headrace.store.database import Database
    from headrace.testing.server import running_server

    database = Database(f"sqlite:///{tmp_path / 'server.db'}")

    def heard_of() -> list[bytes]:
        with database.read() as tx:
            return [row[0] for row in tx.sql("SELECT id FROM sign_of_life WHERE kind = 'owner'")]

    @flow
    def work() -> None:
        for _ in range(1000):
            if heard_of():
                return
            threading.Event().wait(0.01)

    with running_server(database) as url, temporary_settings({"HEADRACE_API_URL": url}):
        work()
        assert heard_of() == [spool().owner_id.bytes]
        close_process_spool()


# --- imports -----------------------------------------------------------------------------------------------------------------

LIGHT = """
    import sys
    from headrace import flow, task

    @task
    def double(x):
        return 2 * x

    @flow
    def work():
        return double(3)

    assert work() == 6
    heavy = {"sqlalchemy", "sqlite3", "headrace.operations", "asyncio", "httpx", "http.client", "ssl", "importlib.metadata", "websockets"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_a_flow_run_over_http_loads_no_database_and_no_http_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import textwrap

    from headrace.store.database import Database
    from headrace.testing.server import running_server

    with running_server(Database(f"sqlite:///{tmp_path / 'server.db'}")) as url:
        monkeypatch.setenv("HEADRACE_API_URL", url)
        ended = subprocess.run([sys.executable, "-c", textwrap.dedent(LIGHT)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
