"""Load for one server, the same for both programs: `python load.py API_URL WORK CLIENTS AMOUNT`. Prints one line of JSON.

Connections are kept open and requests written by hand, so that nearly all time is the server's. AMOUNT is a number of seconds for
operations, a number of things for batches. Needs the package `websockets` for the works that stream.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

BATCH = 100
BUSY = object()
BUSY_SECONDS = 0.02


class Connection:
    """One kept-alive connection."""

    def __init__(self, api_url: str) -> None:
        parts = urlsplit(api_url)
        self.host, self.port, self.prefix = parts.hostname, parts.port, parts.path

    async def open(self) -> Connection:
        self._in, self._out = await asyncio.open_connection(self.host, self.port, limit=2**22)
        return self

    async def call(self, method: str, path: str, body: object = None) -> object:
        """Ask, and ask again while the server says that it is too busy: that costs it the time that it takes."""
        while True:
            try:
                found = await self._once(method, path, body)
            except (asyncio.IncompleteReadError, ConnectionError):  # it closes what was idle for some seconds
                await self.open()
                continue
            if found is not BUSY:
                return found
            await asyncio.sleep(BUSY_SECONDS)

    async def _once(self, method: str, path: str, body: object) -> object:
        status, text = await self.ask(method, path, body)
        if status == 503:
            return BUSY
        if status >= 300:
            raise SystemExit(f"{method} {path} was answered {status}: {text[:500]!r}")
        return json.loads(text) if text else None

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Ask once; return the status and the body of the answer."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {self.prefix}{path} HTTP/1.1\r\nHost: {self.host}\r\nX-PREFECT-API-VERSION: 0.8.4\r\nContent-Type: application/json\r\n"
        self._out.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        answer = await self._in.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        headers = answer.lower()
        if b"transfer-encoding: chunked" in headers:
            text = b""
            while size := int(await self._in.readline(), 16):
                text += await self._in.readexactly(size)
                await self._in.readexactly(2)
            await self._in.readexactly(2)
        else:
            length = int(headers.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            text = await self._in.readexactly(length) if length else b""
        return status, text


async def timed(connections: list[Connection], seconds: float, one: Callable[[Connection, int], Awaitable[None]]) -> dict[str, float]:
    """Repeat `one` on each connection for some seconds."""
    took: list[float] = []

    async def repeat(connection: Connection, number: int) -> None:
        while (began := time.perf_counter()) < end:
            await one(connection, number)
            took.append(time.perf_counter() - began)

    for number, connection in enumerate(connections):
        await one(connection, number)  # warm
    start = time.perf_counter()
    end = start + seconds
    await asyncio.gather(*(repeat(connection, number) for number, connection in enumerate(connections)))
    wall = time.perf_counter() - start
    return {"count": len(took), "seconds": wall, "p95": statistics.quantiles(took, n=20)[18], "median": statistics.median(took)}


async def new_flow(connection: Connection) -> str:
    return (await connection.call("POST", "/flows/", {"name": f"bench-{uuid.uuid4().hex[:8]}"}))["id"]


async def new_run(connection: Connection, flow_id: str) -> str:
    body = {"flow_id": flow_id, "state": {"type": "PENDING", "name": "Pending"}, "parameters": {"n": 1}, "tags": ["bench"]}
    return (await connection.call("POST", "/flow_runs/", body))["id"]


async def create(connections: list[Connection], seconds: float) -> dict[str, float]:
    flow_id = await new_flow(connections[0])

    async def one(connection: Connection, _: int) -> None:
        await new_run(connection, flow_id)

    return await timed(connections, seconds, one)


async def set_state(connections: list[Connection], seconds: float) -> dict[str, float]:
    flow_id = await new_flow(connections[0])
    runs = [await new_run(connection, flow_id) for connection in connections]
    turns = [0] * len(runs)

    async def one(connection: Connection, number: int) -> None:
        turns[number] += 1
        kind = "RUNNING" if turns[number] % 2 else "COMPLETED"
        answer = await connection.call("POST", f"/flow_runs/{runs[number]}/set_state", {"state": {"type": kind, "name": kind.title()}})
        assert answer["status"] == "ACCEPT", answer

    return await timed(connections, seconds, one)


async def read(connections: list[Connection], seconds: float) -> dict[str, float]:
    run_id = await new_run(connections[0], await new_flow(connections[0]))

    async def one(connection: Connection, _: int) -> None:
        await connection.call("GET", f"/flow_runs/{run_id}")

    return await timed(connections, seconds, one)


async def nothing(connections: list[Connection], seconds: float) -> dict[str, float]:
    """Ask an application that does nothing, with the body of a new state."""

    async def one(connection: Connection, _: int) -> None:
        await connection.call("POST", "/nothing", {"state": {"type": "RUNNING", "name": "Running"}})

    return await timed(connections, seconds, one)


async def filtered(connections: list[Connection], seconds: float) -> dict[str, float]:
    async def one(connection: Connection, _: int) -> None:
        found = await connection.call("POST", "/flow_runs/filter", {"limit": 50, "sort": "ID_DESC"})
        assert len(found) == 50

    return await timed(connections, seconds, one)


async def logs(connections: list[Connection], seconds: float) -> dict[str, float]:
    run_id = await new_run(connections[0], await new_flow(connections[0]))

    async def one(connection: Connection, _: int) -> None:
        now = datetime.now(UTC).isoformat()
        line = {"name": "bench", "level": 20, "message": "the wheel turns and turns", "timestamp": now, "flow_run_id": run_id}
        await connection.call("POST", "/logs/", [line] * BATCH)

    result = await timed(connections, seconds, one)
    result["count"] *= BATCH
    return result


def event(kind: str, number: int) -> dict[str, object]:
    resource = {"prefect.resource.id": f"bench.{number}"}
    return {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": kind,
        "resource": resource,
        "related": [],
        "payload": {"n": number},
    }


async def counted(connection: Connection, kind: str, count: int) -> None:
    wanted = {"filter": {"event": {"name": [kind]}}, "limit": 1}
    while (await connection.call("POST", "/events/filter", wanted))["total"] < count:
        await asyncio.sleep(0.02)


async def events(connections: list[Connection], count: float) -> dict[str, float]:
    kind = f"bench.{uuid.uuid4().hex[:8]}"
    batches = [[event(kind, number) for number in range(BATCH)] for _ in range(int(count) // BATCH)]
    began = time.perf_counter()

    async def send(connection: Connection) -> None:
        while batches:
            await connection.call("POST", "/events", batches.pop())

    await asyncio.gather(*(send(connection) for connection in connections))
    await counted(connections[0], kind, int(count) // BATCH * BATCH)
    return {"count": count, "seconds": time.perf_counter() - began}


def socket_url(connection: Connection, path: str) -> str:
    return f"ws://{connection.host}:{connection.port}{connection.prefix}{path}"


async def greet(stream) -> None:
    await stream.send(json.dumps({"type": "auth", "token": None}))
    assert json.loads(await stream.recv())["type"] == "auth_success"


async def streamed(connections: list[Connection], count: float) -> dict[str, float]:
    from websockets.asyncio.client import connect

    kind = f"bench.{uuid.uuid4().hex[:8]}"
    frames = [json.dumps(event(kind, number)) for number in range(int(count))]
    async with connect(socket_url(connections[0], "/events/in"), subprotocols=["prefect"]) as stream:
        await greet(stream)
        began = time.perf_counter()
        for frame in frames:
            await stream.send(frame)
        await counted(connections[0], kind, int(count))
        return {"count": count, "seconds": time.perf_counter() - began}


async def heard_events(connections: list[Connection], count: float) -> dict[str, float]:
    from websockets.asyncio.client import connect

    kind = f"bench.{uuid.uuid4().hex[:8]}"
    took: list[float] = []
    async with (
        connect(socket_url(connections[0], "/events/out"), subprotocols=["prefect"]) as out,
        connect(socket_url(connections[0], "/events/in"), subprotocols=["prefect"]) as into,
    ):
        await greet(out)
        await greet(into)
        await out.send(json.dumps({"type": "filter", "filter": {"event": {"name": [kind]}, "occurred": {"until": "2100-01-01T00:00:00Z"}}}))
        await asyncio.sleep(1)
        for number in range(int(count)):
            began = time.perf_counter()
            await into.send(json.dumps(event(kind, number)))
            await asyncio.wait_for(out.recv(), 20)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.05)
    return {"count": count, "seconds": sum(took), "median": statistics.median(took)}


async def heard_logs(connections: list[Connection], count: float) -> dict[str, float]:
    from websockets.asyncio.client import connect

    run_id = await new_run(connections[0], await new_flow(connections[0]))
    took: list[float] = []
    async with connect(socket_url(connections[0], "/logs/out"), subprotocols=["prefect"]) as out:
        await greet(out)
        await out.send(json.dumps({"type": "filter", "filter": {"flow_run_id": {"any_": [run_id]}}}))
        await asyncio.sleep(1)
        for _ in range(int(count)):
            line = {"name": "bench", "level": 20, "message": "hark", "timestamp": datetime.now(UTC).isoformat(), "flow_run_id": run_id}
            began = time.perf_counter()
            await connections[0].call("POST", "/logs/", [line])
            await asyncio.wait_for(out.recv(), 20)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.05)
    return {"count": count, "seconds": sum(took), "median": statistics.median(took)}


WORKS = {work.__name__: work for work in (create, set_state, read, nothing, filtered, logs, events, streamed, heard_events, heard_logs)}


async def main(api_url: str, work: str, clients: int, amount: float) -> None:
    connections = [await Connection(api_url).open() for _ in range(clients)]
    result = await WORKS[work](connections, amount)
    cpu = os.times()
    print(json.dumps({**result, "own_cpu_seconds": cpu.user + cpu.system}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
