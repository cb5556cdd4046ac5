"""A Snowflake for tests: fakesnow's server, with what it lacks put before it. Run it as a program; it prints its port.

- It looks at how one logs in: password, second factor, key pair (the signature is verified), OAuth, Okta, browser, workload identity.
- Submitted queries really run beside the request: they have a status, fail later, and can be stopped.
- Job services run processes of this machine: see `job_services`.
- `CALL SYSTEM$WAIT(seconds)` takes its time. `SELECT 'unheard of'` is taken, and never heard of again.
- The account `silent` never answers a login; `duo` asks for a second factor.

The answers are those of the service's wire protocol as the connector reads it: snowflake/connector/{auth,network,connection,cursor}.py.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import secrets
import sys
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import job_services
import jwt
import uvicorn
from cryptography.hazmat.primitives import serialization
from fakesnow.server import login_request, query_request, routes, sessions
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

PASSWORD = "paranoid-android"
TOKEN = "token-of-forty-two"
ONE_TIME_TOKEN = "once-only"
SAML = "saml-assertion"
BUSY, WAITING = "RUNNING", re.compile(r"\s*CALL\s+SYSTEM\$WAIT\((\d+(?:\.\d+)?)\)", re.IGNORECASE)
QUOTED = re.compile(r'"([A-Z0-9_]+)"')
STAGE = re.compile(r"'(@[^']*)'")
STAGES = ("SNOWPARK_TEMP_STAGE", "__WRITE_PANDAS_STAGE")
"""What `write_pandas` names its stage, in version 4 and 5 of the connector."""
SESSION_TOKEN = re.compile(r'Snowflake Token="(.*)"')


@dataclass
class Query:
    """A submitted query: its status, and what it answered."""

    status: str = BUSY
    answer: dict[str, Any] = field(default_factory=dict)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    text: str = ""


CANCELLED = {"code": "000604", "message": "SQL execution canceled", "success": False}
queries: dict[str, Query] = {}
in_flight: dict[str, Query] = {}
statements: list[str] = []
logins: list[dict[str, Any]] = []
requests: Counter[str] = Counter()
turns: dict[str, asyncio.Lock] = {}
running: set[asyncio.Task[None]] = set()
public_key = b""


async def json_of(request: Request) -> dict[str, Any]:
    body = await request.body()
    return json.loads(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body)


def with_body(request: Request, body: dict[str, Any]) -> Request:
    """Return the request with another body, for fakesnow."""
    text = json.dumps(body).encode()
    headers = [(name, value) for name, value in request.scope["headers"] if name not in (b"content-encoding", b"content-length")]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": text, "more_body": False}

    return Request({**request.scope, "headers": headers}, receive)


# --- logging in


async def login(request: Request) -> Response:
    body = await json_of(request)
    data = body["data"]
    logins.append({name: value for name, value in data.items() if name not in ("CLIENT_ENVIRONMENT",)})
    account = data.get("ACCOUNT_NAME", "")
    if account.startswith("silent"):
        await asyncio.sleep(3600)
    problem = refused(data) if "inFlightCtx" not in body else None
    if problem is not None:
        return JSONResponse({"success": False, "code": "390100", "message": problem, "data": {"nextAction": None}})
    if account.startswith("duo"):  # asks for a second factor, has it pushed to a phone, and takes the login that follows
        if "inFlightCtx" not in body:
            return JSONResponse({"success": True, "data": {"nextAction": "EXT_AUTHN_DUO_ALL", "inFlightCtx": "first"}})
        if body["inFlightCtx"] == "first":
            return JSONResponse({"success": True, "data": {"nextAction": "EXT_AUTHN_SUCCESS", "inFlightCtx": "approved"}})
    given = data.setdefault("SESSION_PARAMETERS", {})  # the last step of a second factor has none
    given |= {name: value == "true" for name, value in given.items() if value in ("true", "false")}  # as version 5 of the connector writes them
    response = await login_request(with_body(request, body))
    answered = json.loads(bytes(response.body))
    answered["data"] |= {
        "masterToken": secrets.token_hex(16),
        "sessionId": secrets.randbits(48),
        "validityInSeconds": 3600,
        "masterValidityInSeconds": 14400,
    }
    return JSONResponse(answered)


def refused(data: dict[str, Any]) -> str | None:
    """Say why this login is refused; None when it is right."""
    authenticator = data.get("AUTHENTICATOR", "SNOWFLAKE")
    if authenticator == "SNOWFLAKE_JWT":
        try:
            claims = jwt.decode(data["TOKEN"], serialization.load_pem_public_key(public_key), ["RS256"])
        except jwt.InvalidTokenError as error:
            return f"JWT token is invalid. {error}"
        return None if claims["sub"].endswith(f".{data['LOGIN_NAME'].upper()}") else "JWT token is invalid. Another subject."
    if "RAW_SAML_RESPONSE" in data:
        return None if SAML in data["RAW_SAML_RESPONSE"] else "SAML response is invalid."
    secret, wanted = {
        "OAUTH": (data.get("TOKEN"), TOKEN),
        "WORKLOAD_IDENTITY": (f"{data.get('PROVIDER')} {data.get('TOKEN')}", f"OIDC {oidc_token()}"),
        "EXTERNALBROWSER": (data.get("TOKEN"), TOKEN),
    }.get(authenticator, (data.get("PASSWORD"), PASSWORD))
    return None if secret == wanted else "Incorrect username or password was specified."


def oidc_token() -> str:
    return jwt.encode({"iss": "https://issuer.example", "sub": "workload"}, "k" * 32)


async def authenticator(request: Request) -> Response:
    """Say where one logs in with Okta, or with a browser."""
    data = (await json_of(request))["data"]
    port = data.get("BROWSER_MODE_REDIRECT_PORT")
    if port is not None:
        here = f"https://127.0.0.1:{request.url.port}/browser-login?port={port}"  # nobody goes there
        return JSONResponse({"success": True, "data": {"ssoUrl": here, "proofKey": "proof"}})
    okta = data["AUTHENTICATOR"].rstrip("/")
    return JSONResponse({"success": True, "data": {"tokenUrl": f"{okta}/api/v1/authn", "ssoUrl": f"{okta}/app/snowflake/sso/saml"}})


async def okta_token(request: Request) -> Response:
    data = await json_of(request)
    if data["password"] != PASSWORD:
        return JSONResponse({"errorCode": "E0000004", "errorSummary": "Authentication failed"}, status_code=401)
    return JSONResponse({"status": "SUCCESS", "sessionToken": ONE_TIME_TOKEN})


async def okta_assertion(request: Request) -> Response:
    if request.query_params["onetimetoken"] != ONE_TIME_TOKEN:
        return Response(status_code=403)
    return HTMLResponse(f'<html><form action="http://127.0.0.1:{http_port()}/fed/login"><input value="{SAML}"></form></html>')


# --- queries


async def query(request: Request) -> Response:
    body = await json_of(request)
    token = found[1] if (found := SESSION_TOKEN.match(request.headers.get("Authorization", ""))) else ""
    statements.append(body["sqlText"])
    for ours, one in queries.items():
        if ours in body["sqlText"] and "queryId" in (one.answer.get("data") or {}):
            body["sqlText"] = body["sqlText"].replace(ours, one.answer["data"]["queryId"])
    try:
        rows = await asyncio.to_thread(job_services.answer, body["sqlText"])
    except job_services.Refused as refused_because:
        code, state, text = refused_because.args
        return JSONResponse({"success": False, "code": code, "message": text, "data": {"errorCode": code, "sqlState": state}})
    if rows is not None:
        return JSONResponse(job_services.wire(rows))
    without_quotes(body)
    if not body.get("asyncExec"):
        one = in_flight[request.query_params["requestId"]] = Query()
        answered = await answer(request, token, body, one)
        return JSONResponse({**CANCELLED, "data": {}} if one.stopped.is_set() else answered)
    query_id = str(uuid.uuid4())
    queries[query_id] = one = Query(text=body["sqlText"])
    task = asyncio.ensure_future(run(one, request, token, {**body, "asyncExec": False}))
    running.add(task)
    task.add_done_callback(running.discard)
    taken = {"queryId": query_id, "getResultUrl": f"/queries/{query_id}/result", "queryAbortsAfterSecs": 300, "progressDesc": None}
    return JSONResponse({"success": True, "code": "333334", "message": "Query execution in progress.", "data": taken})


def without_quotes(body: dict[str, Any]) -> None:
    """Take the quotes from names where `write_pandas` names its stage: fakesnow does not find it with them."""
    bindings = body.get("bindings") or {}
    if any(name in text for name in STAGES for text in (body["sqlText"], *(str(one["value"]) for one in bindings.values()))):
        for holder, name in ((body, "sqlText"), *((one, "value") for one in bindings.values())):
            holder[name] = STAGE.sub(r"\1", QUOTED.sub(r"\1", holder[name]))


async def run(one: Query, request: Request, token: str, body: dict[str, Any]) -> None:
    one.answer = await answer(request, token, body, one)
    if one.stopped.is_set():
        one.status = "ABORTED"
        one.answer = CANCELLED
    else:
        one.status = "SUCCESS" if one.answer["success"] else "FAILED_WITH_ERROR"


async def answer(request: Request, token: str, body: dict[str, Any], one: Query) -> dict[str, Any]:
    waiting = WAITING.match(body["sqlText"])
    if waiting:
        try:
            await asyncio.wait_for(one.stopped.wait(), float(waiting[1]))
        except TimeoutError:
            body = {**body, "sqlText": f"SELECT 'waited {waiting[1]} seconds'"}
        else:
            return {"success": False}
    async with turns.setdefault(token, asyncio.Lock()):  # one connection of DuckDB serves a session
        response = await query_request(with_body(request, body))
    answered = json.loads(bytes(response.body))
    if place := (answered.get("data") or {}).get("stageInfo"):
        place["region"] = place.get("region") or "us-east-1"  # version 5 of the connector asks for it
    return answered


async def status(request: Request) -> Response:
    one = queries[request.path_params["query_id"].strip("/")]
    requests["status"] += 1
    if "unheard of" in one.text:
        return JSONResponse({"success": True, "data": {"queries": []}})
    said: dict[str, Any] = {"status": one.status}
    if one.status in ("FAILED_WITH_ERROR", "ABORTED"):
        said |= {"errorCode": one.answer["code"], "errorMessage": one.answer["message"]}
    return JSONResponse({"success": True, "data": {"queries": [said]}})


async def stop(request: Request) -> Response:
    one = queries[request.path_params["query_id"].strip("/")]
    one.stopped.set()
    return JSONResponse({"success": True, "data": None})


async def cancel(request: Request) -> Response:
    """Stop a statement that its request still waits for."""
    in_flight[(await json_of(request))["requestId"]].stopped.set()
    return JSONResponse({"success": True, "data": None})


async def result(request: Request) -> Response:
    return JSONResponse(queries[request.path_params["query_id"]].answer)


async def telemetry(request: Request) -> Response:
    return JSONResponse({"success": True, "data": "Log Received"})


# --- what tests ask


async def told(request: Request) -> Response:
    """Tell what has happened: logins, statements, and the queries with their status."""
    states = {one.text: one.status for one in queries.values()}
    ids = {one.text: query_id for query_id, one in queries.items()}
    return JSONResponse({"logins": logins[-200:], "statements": statements[-2000:], "queries": states, "ids": ids, "sessions": len(sessions)})


async def end_sessions(request: Request) -> Response:
    """End all sessions, as Snowflake does after hours without use."""
    sessions.clear()
    return JSONResponse({})


async def expect_key(request: Request) -> Response:
    global public_key
    public_key = await request.body()
    return Response()


async def told_jobs(request: Request) -> Response:
    """Tell of all jobs that were ever started."""

    def tell(job: job_services.Job) -> dict[str, Any]:
        told = {"name": job.name, "told": job.told, "env": job.environment, "status": job.status}
        return {**told, "pid": job.process and job.process.pid, "is_there": job_services.jobs.get(job.name) is job}

    return JSONResponse([tell(job) for job in job_services.ever])


async def end_job(request: Request) -> Response:
    """Let a job that runs nothing end."""
    job = job_services.jobs[request.path_params["name"]]
    job.status = int(request.query_params["status"])
    return JSONResponse({})


def http_port() -> int:
    return int(Path(sys.argv[1], "port").read_text())


app = Starlette(
    routes=[
        Route("/session/v1/login-request", login, methods=["POST"]),
        Route("/session/authenticator-request", authenticator, methods=["POST"]),
        Route("/queries/v1/query-request", query, methods=["POST"]),
        Route("/queries/v1/abort-request", cancel, methods=["POST"]),
        Route("/queries/{query_id}/abort-request", stop, methods=["POST"]),
        Route("/monitoring/queries/{query_id:path}", status, methods=["GET"]),
        Route("/queries/{query_id}/result", result, methods=["GET"]),
        Route("/telemetry/send", telemetry, methods=["POST"]),
        Route("/api/v1/authn", okta_token, methods=["POST"]),
        Route("/app/snowflake/sso/saml", okta_assertion, methods=["GET"]),
        Route("/told", told, methods=["GET"]),
        Route("/jobs", told_jobs, methods=["GET"]),
        Route("/jobs/{name}", end_job, methods=["POST"]),
        Route("/expect-key", expect_key, methods=["PUT"]),
        Route("/end-sessions", end_sessions, methods=["POST"]),
        *[route for route in routes if route.path.startswith(("/session", "/fs_bucket"))],
    ]
)


async def main(folder: Path) -> None:
    """Serve on two ports, one of them with TLS, until standard input ends: with the program that started this."""
    plain = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    files = {"ssl_certfile": folder / "certificate.pem", "ssl_keyfile": folder / "key.pem"}
    secure = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", **files))
    serving = [asyncio.ensure_future(server.serve()) for server in (plain, secure)]
    while not (plain.started and secure.started):
        await asyncio.sleep(0.02)
    for name, server in (("port", plain), ("tls-port", secure)):
        (folder / name).write_text(str(server.servers[0].sockets[0].getsockname()[1]))
    print("ready", flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set)), daemon=True).start()
    await ended.wait()
    for job in job_services.ever:
        job.end()
    for task in serving:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
