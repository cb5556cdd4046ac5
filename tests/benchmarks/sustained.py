"""An hour of load at half of the peak, run by hand: memory must stay flat and no request fail.

    python tests/benchmarks/sustained.py FOLDER/bin/headrace [--minutes 60] [--rate 350] [--folder WHERE] [--setting SERVER_...=value ...]

The server is a process of the program named (install a copy, so that later edits do not disturb the hour), with a home of its own in `--folder`.
Its clients work through stories of runs at a steady pace, counting all requests alike; two websocket subscribers listen and count what they
miss. Each minute a line of JSON is printed: requests, failures, times, the server's memory and processor, the size of its database, and how
late and how completely the subscribers heard. The last line sums up; the exit status says whether all of it was in order.
Needs the package `websockets`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from load import Connection, greet, socket_url
from programs import Program
from servers import Server

CLIENTS = 16
BATCH = 20
WARNING = 30
BEHIND_SECONDS_MAX = 1.0
CONTENDED, ABANDONED = "contended", "abandoned"
EXPECTED = {200, 201, 204, 423}
GRACE_SECONDS = 10.0


class Heard:
    """What one subscriber was sent, by number, against what the server acknowledged."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.seen = bytearray()
        self.twice = 0
        self.count = 0
        self.late: list[float] = []
        self.reconnects = 0

    def hear(self, number: int, sent: float) -> None:
        if number >= len(self.seen):
            self.seen.extend(bytes(number + 65_536 - len(self.seen)))
        self.twice += self.seen[number]
        self.count += 1 - self.seen[number]
        self.seen[number] = 1
        self.late.append(time.time() - sent)

    def report(self) -> dict[str, object]:
        late, self.late = sorted(self.late) or [0.0], []
        times = {"p50_ms": round(late[len(late) // 2] * 1000, 1), "p95_ms": round(late[int(len(late) * 0.95)] * 1000, 1)}
        behind = {"acknowledged": self.acknowledged, "heard": self.count, "twice": self.twice, "reconnects": self.reconnects}
        return {**times, "max_ms": round(late[-1] * 1000, 1), **behind}


class Load:
    """Clients that share one pace, and what they found in the minute that runs."""

    def __init__(self, url: str, rate: float) -> None:
        self.url = url
        self.pause = 1 / rate
        self.turn = time.perf_counter()
        self.took: list[float] = []
        self.kinds: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.denied = 0
        self.events, self.logs = Heard(), Heard()
        self.event_numbers, self.log_numbers = itertools.count(), itertools.count()
        self.over = asyncio.Event()
        self.chance = random.Random(1)

    async def ask(self, connection: Connection, kind: str, method: str, path: str, body: object = None) -> object:
        """Ask at the next moment that the pace allows; count anything but the expected answers as a failure."""
        self.turn = max(self.turn + self.pause, time.perf_counter() - BEHIND_SECONDS_MAX)
        await asyncio.sleep(max(0.0, self.turn - time.perf_counter()))
        began = time.perf_counter()
        self.kinds[kind] += 1
        try:
            status, text = await asyncio.wait_for(connection.ask(method, path, body), 60)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            self.failed[f"{kind}: {error!r}"[:200]] += 1
            await connection.open()
            return None
        self.took.append(time.perf_counter() - began)
        if status not in EXPECTED:
            self.failed[f"{kind}: {status} {text[:150]!r}"] += 1
            return None
        self.denied += status == 423
        answer = json.loads(text) if text else None
        return True if answer is None else answer

    async def client(self, number: int) -> None:
        connection = await Connection(self.url).open()
        flow = await self.ask(connection, "flow", "POST", "/flows/", {"name": f"sustained-{number}"})
        while not self.over.is_set():
            await self.story(connection, flow["id"])

    async def story(self, connection: Connection, flow: str) -> None:
        body = {"flow_id": flow, "state": {"type": "PENDING", "name": "Pending"}, "parameters": {"n": 1}, "tags": ["sustained"]}
        run = await self.ask(connection, "create", "POST", "/flow_runs/", body)
        if run is None:
            return
        identity = run["id"]
        lease = await self.lease(connection, identity) if self.chance.random() < 0.25 else None
        await self.state(connection, identity, "RUNNING")
        await self.ask(connection, "read", "GET", f"/flow_runs/{identity}")
        if self.chance.random() < 0.5:
            await self.log(connection, identity)
        if self.chance.random() < 0.5:
            await self.emit(connection, identity)
        if self.chance.random() < 0.5:
            task = {"flow_run_id": identity, "task_key": "t", "dynamic_key": "0", "state": {"type": "RUNNING"}}
            if (made := await self.ask(connection, "task_run", "POST", "/task_runs/", task)) is not None:
                await self.ask(connection, "task_run_state", "POST", f"/task_runs/{made['id']}/set_state", {"state": {"type": "COMPLETED"}})
        if lease:
            await self.ask(connection, "release", "POST", "/v2/concurrency_limits/decrement-with-lease", {"lease_id": lease})
        await self.state(connection, identity, "COMPLETED")
        await self.ask(connection, "read", "GET", f"/flow_runs/{identity}")
        if self.chance.random() < 0.2:
            wanted = {"limit": 50, "sort": "ID_DESC", "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
            await self.ask(connection, "filter", "POST", "/flow_runs/filter", wanted)

    async def state(self, connection: Connection, run: str, kind: str) -> None:
        state = {"type": kind, "name": kind.title(), "state_details": {"transition_id": str(uuid.uuid4())}}
        answer = await self.ask(connection, kind.lower(), "POST", f"/flow_runs/{run}/set_state", {"state": state})
        if answer is not None and answer["status"] != "ACCEPT":
            self.failed[f"{kind}: {answer['status']}"] += 1

    async def lease(self, connection: Connection, run: str) -> str | None:
        """Take a slot of a small limit, or one that nobody gives back, so that it has to be taken away."""
        name = ABANDONED if self.chance.random() < 0.1 else CONTENDED
        asked = {"slots": 1, "names": [name], "mode": "concurrency", "lease_duration": 60, "holder": {"type": "flow_run", "id": run}}
        taken = await self.ask(connection, "lease", "POST", "/v2/concurrency_limits/increment-with-lease", asked)
        return taken["lease_id"] if name == CONTENDED and isinstance(taken, dict) and "lease_id" in taken else None

    async def log(self, connection: Connection, run: str) -> None:
        now = datetime.now(UTC).isoformat()
        number = next(self.log_numbers)
        line = {"name": "sustained", "level": 20, "message": "the wheel turns and turns", "timestamp": now, "flow_run_id": run}
        warning = {**line, "level": WARNING, "message": f"{number} {time.time()}"}
        if await self.ask(connection, "logs", "POST", "/logs/", [*[line] * (BATCH - 1), warning]) is not None:
            self.logs.acknowledged += 1

    async def emit(self, connection: Connection, run: str) -> None:
        now, sent = datetime.now(UTC).isoformat(), time.time()
        resource = {"prefect.resource.id": f"sustained.{run}"}
        related = [{"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.role": "flow-run"}]
        batch = [
            {"id": str(uuid.uuid4()), "occurred": now, "event": "sustained.turned", "resource": resource, "related": related, "payload": payload}
            for payload in ({"n": next(self.event_numbers), "sent": sent} for _ in range(BATCH))
        ]
        if await self.ask(connection, "events", "POST", "/events", batch) is not None:
            self.events.acknowledged += BATCH

    async def subscribe(self, path: str, chosen: dict[str, object], heard: Heard, ready: asyncio.Event) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed

        async for stream in connect(socket_url(Connection(self.url), path), subprotocols=["prefect"]):
            try:
                await greet(stream)
                await stream.send(json.dumps({"type": "filter", "filter": chosen}))
                ready.set()
                async for frame in stream:
                    message = json.loads(frame)
                    if "event" in message:
                        heard.hear(message["event"]["payload"]["n"], message["event"]["payload"]["sent"])
                    elif "log" in message:
                        number, _, sent = message["log"]["message"].partition(" ")
                        heard.hear(int(number), float(sent))
                return
            except ConnectionClosed as closed:
                heard.reconnects += 1
                self.failed[f"{path} was closed: {closed}"] += 1

    def report(self) -> dict[str, object]:
        took, self.took = sorted(self.took) or [0.0], []
        kinds, self.kinds = dict(self.kinds), Counter()
        failed, self.failed = dict(self.failed), Counter()
        denied, self.denied = self.denied, 0
        times = {f"p{part}_ms": round(took[int(len(took) * part / 100)] * 1000, 2) for part in (50, 95, 99)}
        return {"requests": sum(kinds.values()), **times, "max_ms": round(took[-1] * 1000), "failed": failed, "denied": denied, "kinds": kinds}


@contextlib.asynccontextmanager
async def subscribers(load: Load) -> AsyncIterator[None]:
    ready = asyncio.Event(), asyncio.Event()
    events = {"event": {"name": ["sustained.turned"]}, "occurred": {"until": "2100-01-01T00:00:00Z"}}
    tasks = [
        asyncio.create_task(load.subscribe("/events/out", events, load.events, ready[0])),
        asyncio.create_task(load.subscribe("/logs/out", {"level": {"ge_": WARNING}}, load.logs, ready[1])),
    ]
    await asyncio.gather(*(one.wait() for one in ready))
    await asyncio.sleep(2)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def measured(server: Server, rate: float, minutes: int) -> list[dict[str, object]]:
    """Keep the load up; print and return a line for each minute."""
    load, lines = Load(server.api_url, rate), []
    watch = await Connection(server.api_url).open()
    for name, limit in ((CONTENDED, 3), (ABANDONED, 10_000)):
        await watch.call("POST", "/v2/concurrency_limits/", {"name": name, "limit": limit})
    async with subscribers(load):
        clients = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
        for minute in range(1, minutes + 1):
            cpu, began = server.cpu_seconds(), time.perf_counter()
            await asyncio.wait(clients, timeout=60, return_when=asyncio.FIRST_EXCEPTION)
            for ended in (client for client in clients if client.done()):
                ended.result()
            took = time.perf_counter() - began
            report = load.report()
            slots = {name: (await watch.call("GET", f"/v2/concurrency_limits/{name}"))["active_slots"] for name in (CONTENDED, ABANDONED)}
            size = sum(path.stat().st_size for path in server.program.home.glob("*.db*"))
            own = {
                "rss_mib": round(server.resident_mib(), 1),
                "cpu": round((server.cpu_seconds() - cpu) / took, 3),
                "database_mib": round(size / 2**20),
            }
            found = {"minute": minute, "rate": round(report["requests"] / took, 1), **report, **own, "slots": slots}
            lines.append({**found, "events": load.events.report(), "logs": load.logs.report()})
            print(json.dumps(lines[-1]), flush=True)
        load.over.set()
        await asyncio.gather(*clients)
        await asyncio.sleep(GRACE_SECONDS)
    lines.append({"failed": load.report()["failed"], "events": load.events.report(), "logs": load.logs.report()})
    return lines


def summed_up(lines: list[dict[str, object]]) -> dict[str, object]:
    """Say whether it was in order: nothing failed, nothing was missed, and the second half's memory is that of the first."""
    *minutes, last = lines
    memory = [line["rss_mib"] for line in minutes]
    half = len(memory) // 2
    settled = memory[len(memory) // 6 : half] or memory
    grown = statistics.mean(memory[half:]) - statistics.mean(settled)
    failed = sum((Counter(line["failed"]) for line in lines), Counter())
    missed = {name: last[name]["acknowledged"] - last[name]["heard"] for name in ("events", "logs")}
    twice = {name: last[name]["twice"] for name in ("events", "logs")}
    in_order = not failed and not any(missed.values()) and not any(twice.values()) and grown < max(10.0, 0.1 * statistics.mean(settled))
    total = sum(line["requests"] for line in minutes)
    said = {"requests": total, "failed": dict(failed), "missed": missed, "twice": twice, "rss_mib": [memory[0], *memory[9::10], memory[-1]]}
    return {"in_order": in_order, **said, "grown_mib": round(grown, 1), "p95_ms_worst_minute": max(line["p95_ms"] for line in minutes)}


@contextlib.contextmanager
def started(program: Path, folder: Path, settings: list[str]):
    """Run the program's server with its log beside its home."""
    home = folder / "home"
    home.mkdir(parents=True)
    variables = {f"HEADRACE_{name}": value for name, _, value in (setting.partition("=") for setting in settings)}
    owner = Program(program.parent / "python", "headrace", home, variables)
    port = random.randrange(20_000, 30_000)
    words = [str(program), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(words, env=owner.environment(), stdout=log, stderr=log, start_new_session=True, cwd=home)
        url = f"http://127.0.0.1:{port}/api"
        try:
            for _ in range(1000):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{url}/health", timeout=1)
                    break
                time.sleep(0.02)
            yield Server(owner, process, url, 0.0)
        finally:
            process.terminate()
            status = process.wait(timeout=60)
            print(json.dumps({"server ended with": status}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=float, default=350.0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--setting", action="append", default=[])
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="headrace-sustained-"))
    print(json.dumps({"folder": str(folder), "pid": os.getpid(), "rate": chosen.rate, "minutes": chosen.minutes}), flush=True)
    with started(chosen.program.absolute(), folder, chosen.setting) as server:
        found = summed_up(asyncio.run(measured(server, chosen.rate, chosen.minutes)))
    print(json.dumps(found), flush=True)
    return 0 if found["in_order"] else 1


if __name__ == "__main__":
    sys.exit(main())
