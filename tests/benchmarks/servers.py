"""The rows of the table that need a server: both programs' servers, one after the other, under the same load."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from programs import Program, Row, best, times

HERE = Path(__file__).parent
CLIENTS = 16
IDLE_SECONDS = 15
LOAD_SECONDS = 5.0
START_SECONDS_MAX = 90
FLOOR_MAX = 8
"""How many times the processor time of an empty answer one set_state may take."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Server:
    """A running server of one of the programs, in a process group of its own."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], api_url: str, start_seconds: float) -> None:
        self.name = name
        self.api_url = api_url
        self.start_seconds = start_seconds
        self._process = process

    def _members(self) -> Iterator[tuple[Path, list[str]]]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == self._process.pid:
                yield folder, fields

    def cpu_seconds(self) -> float:
        """Return the processor seconds that the server and its children have used."""
        return sum((int(fields[11]) + int(fields[12])) / TICKS_A_SECOND for _, fields in self._members())

    def resident_mib(self) -> float:
        """Return the resident memory of the server and its children."""
        pages = sum(int((folder / "statm").read_text().split()[1]) for folder, _ in self._members())
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def settle(self) -> None:
        """Wait until the server has worked off what it was sent: the original refuses requests while it is behind."""
        for _ in range(60):
            before = self.cpu_seconds()
            time.sleep(2)
            if self.cpu_seconds() - before < 0.2:
                return

    def load(self, client: Path, work: str, clients: int, amount: float) -> dict[str, float]:
        """Put load on the server; return what `load.py` says and `cpu`, the server's seconds of processor time for each thing."""
        before = self.cpu_seconds()
        words = [str(client), str(HERE / "load.py"), self.api_url, work, str(clients), str(amount)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=900)
        if done.returncode:
            raise SystemExit(f"{work} on {self.name} failed:\n{done.stderr[-2000:]}")
        result = json.loads(done.stdout.strip().splitlines()[-1])
        return {**result, "rate": result["count"] / result["seconds"], "cpu": (self.cpu_seconds() - before) / result["count"]}


@contextmanager
def started(name: str, command: list[str], environment: dict[str, str], folder: Path) -> Iterator[Server]:
    """Start a server on a free port, which is added to the command, and wait for its health."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=folder,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/api"
    try:
        while time.perf_counter() - began < START_SECONDS_MAX:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.01)
        else:
            raise SystemExit(f"the server of {name} did not start within {START_SECONDS_MAX} s")
        yield Server(name, process, url, time.perf_counter() - began)
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=60)


@contextmanager
def server(program: Program, **settings: str) -> Iterator[Server]:
    """Start a program's server; flows of the program use it meanwhile. `settings` have names without the prefix."""
    environment = {**program.environment(), **{f"{program.prefix}_{name}": value for name, value in settings.items()}}
    with started(program.package, [program.command(program.package), "server", "start"], environment, program.home) as running:
        program.variables[f"{program.prefix}_API_URL"] = running.api_url
        try:
            yield running
        finally:
            del program.variables[f"{program.prefix}_API_URL"]


def ratio_row(work: str, theirs: float, mine: float, unit: str, bar: float, bar_text: str, digits: int = 0) -> Row:
    """Make a row of two rates (more is better)."""
    return Row(work, f"{theirs:.{digits}f}{unit}", f"{mine:.{digits}f}{unit}", times(mine / theirs), bar_text, mine / theirs >= bar)


def cost_row(work: str, theirs: float, mine: float, bar: float, unit: str = "ms", digits: int = 0) -> Row:
    """Make a row of two costs (less is better)."""
    ratio = theirs / max(mine, 1e-4)
    return Row(work, f"{theirs:.{digits}f} {unit}", f"{mine:.{digits}f} {unit}", times(ratio), f"≥ {bar:g}×", ratio >= bar)


def start_and_idle(ours: Program, original: Program) -> Iterator[Row]:
    found: list[tuple[float, float, float]] = []
    for program in (original, ours):
        with server(program):
            pass  # makes the database, and warms the disk
        with server(program) as running:
            time.sleep(5)
            before = running.cpu_seconds()
            time.sleep(IDLE_SECONDS)
            found.append((running.start_seconds, running.resident_mib(), (running.cpu_seconds() - before) / IDLE_SECONDS))
    (their_start, their_memory, their_idle), (start, memory, idle) = found
    yield cost_row("server: start to first healthy answer", their_start * 1000, start * 1000, 5)
    yield cost_row("server: resident memory, idle", their_memory, memory, 2, "MiB")
    yield cost_row("server: idle CPU, of a core", their_idle * 100, idle * 100, 3, "%", 2)


OPERATIONS = ("create", "set_state", "read")
NAMES = {"create": "flow runs created", "set_state": "states set", "read": "flow runs read"}
BARS = {"SQLite": {"create": 15, "set_state": 10, "read": 10}, "PostgreSQL": {"create": 10, "set_state": 10, "read": 10}}

Figures = dict[str, dict[str, float]]


def measured(program: Program, client: Path, works: tuple[str, ...], **settings: str) -> Figures:
    """Put load of each kind on a server of the program."""
    with server(program, **settings) as running:
        found = {work: running.load(client, work, CLIENTS, LOAD_SECONDS) for work in works}
        if not settings:
            found["logs"] = running.load(client, "logs", 4, LOAD_SECONDS)
    return found


def compared(kind: str, theirs: Figures, mine: Figures) -> Iterator[Row]:
    """Rates and processor time of single operations."""
    for work in OPERATIONS:
        bar = BARS[kind][work]
        rates = theirs[work]["rate"], mine[work]["rate"]
        yield ratio_row(f"{kind}: {NAMES[work]}, {CLIENTS} clients", *rates, "/s", bar, f"≥ {bar}×")
        yield cost_row("  the same, server CPU each", theirs[work]["cpu"] * 1000, mine[work]["cpu"] * 1000, bar, digits=2)


def operations(ours: Program, original: Program) -> Iterator[Row]:
    client = original.python
    theirs, mine = (measured(program, client, OPERATIONS) for program in (original, ours))
    yield from compared("SQLite", theirs, mine)
    yield ratio_row("log lines, batches of 100", theirs["logs"]["rate"], mine["logs"]["rate"], "/s", 12, "≥ 12×")
    command = [str(ours.python), "-m", "uvicorn", "--app-dir", str(HERE), "--no-access-log", "--loop", "asyncio", "--http", "h11", "empty_app:app"]
    with started("uvicorn", command, ours.environment(), ours.home) as running:
        floor = running.load(client, "nothing", CLIENTS, LOAD_SECONDS)["cpu"]
    share = mine["set_state"]["cpu"] / floor
    cells = f"{floor * 1000:.2f} ms", f"{mine['set_state']['cpu'] * 1000:.2f} ms", times(share)
    yield Row("empty ASGI app on plain uvicorn (asyncio, h11), CPU; `set_state`", *cells, f"≤ {FLOOR_MAX}×", share <= FLOOR_MAX)


def operations_on_postgres(ours: Program, original: Program) -> Iterator[Row]:
    from headrace.testing.services import shared_service

    figures: list[Figures] = []
    with shared_service("postgres", ours.home / "services") as address:
        for program, scheme in ((original, "postgresql+asyncpg"), (ours, "postgresql")):
            with psycopg.connect(f"{address}/postgres", autocommit=True) as admin:
                admin.execute(f"CREATE DATABASE {program.package}")
            url = f"{scheme}://{address.partition('://')[2]}/{program.package}"
            figures.append(measured(program, original.python, OPERATIONS, API_DATABASE_CONNECTION_URL=url))
    yield from compared("PostgreSQL", *figures)


def streams(ours: Program, original: Program) -> Iterator[Row]:
    names = ("events", "streamed", "heard_logs", "heard_events")
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for program, count in ((original, 3_000), (ours, 30_000)):
        with server(program, SERVER_LOGS_STREAM_OUT_ENABLED="true", SERVER_LOGS_STREAM_PUBLISHING_ENABLED="true") as running:
            amounts = (count, count, 20, 20)
            figures[program.package] = {name: running.load(original.python, name, 4, amount) for name, amount in zip(names, amounts, strict=True)}
            figures[program.package]["from_flow"] = program.work("heard", 20)
    theirs, mine = figures[original.package], figures[ours.package]
    yield ratio_row("events in batches of 100, until queried", theirs["events"]["rate"], mine["events"]["rate"], "/s", 20, "≥ 20×")
    yield ratio_row("events by websocket, until queried", theirs["streamed"]["rate"], mine["streamed"]["rate"], "/s", 20, "≥ 20×")
    for name, what, bar in (
        ("from_flow", "log line in a flow to subscriber, median", 20),
        ("heard_logs", "log line posted to subscriber, median", 1),
        ("heard_events", "event to subscriber, median", 1),
    ):
        yield cost_row(what, theirs[name]["median"] * 1000, mine[name]["median"] * 1000, bar, digits=1)


def crowd(database: Path, count: int) -> None:
    """Copy the newest flow run until there are `count`: same columns, ids of their own. (Over the API the original would take an hour.)"""
    with sqlite3.connect(database) as connection:
        connection.create_function("unhex", 1, bytes.fromhex)  # SQLite has it from 3.41 on
        present = connection.execute("SELECT count(*) FROM flow_run").fetchone()[0]
        columns = [row[1] for row in connection.execute("PRAGMA table_info(flow_run)")]
        as_text = connection.execute("SELECT typeof(id) FROM flow_run LIMIT 1").fetchone()[0] == "text"
        number = "printf('%012x', n)"
        new_id = f"'0190a000-0000-7000-8000-' || {number}" if as_text else f"unhex('0190a000000070008000' || {number})"
        chosen = ", ".join(new_id if column == "id" else "NULL" if column in ("state_id", "idempotency_key") else f'"{column}"' for column in columns)
        names = ", ".join(f'"{column}"' for column in columns)
        connection.execute(
            f"""WITH RECURSIVE numbers(n) AS (SELECT {present} UNION ALL SELECT n + 1 FROM numbers WHERE n < {count - 1}),
            newest AS (SELECT * FROM flow_run ORDER BY id DESC LIMIT 1)
            INSERT INTO flow_run ({names}) SELECT {chosen} FROM newest, numbers"""
        )


def filters(ours: Program, original: Program) -> Iterator[Row]:
    figures: dict[str, dict[str, float]] = {}
    for program in (original, ours):
        found: dict[str, float] = {}
        with server(program) as running:
            running.load(original.python, "create", 1, 1)
        for count in (10_000, 100_000):
            crowd(program.home / f"{program.package}.db", count)
            with server(program) as running:
                for clients in (1, CLIENTS):
                    found[f"{count} {clients}"] = running.load(original.python, "filtered", clients, LOAD_SECONDS)["p95"]
        figures[program.package] = found
    theirs, mine = figures[original.package], figures[ours.package]
    for clients in (1, CLIENTS):
        large = mine[f"100000 {clients}"]
        yield cost_row(f"50 of 100,000 flow runs, p95, clients: {clients}", theirs[f"100000 {clients}"] * 1000, large * 1000, 5, digits=1)
        growth = large / mine[f"10000 {clients}"]
        yield Row("  the same, against 10,000", "", f"{growth:.2f}", "", "≤ 1.5", growth <= 1.5)


def flows(ours: Program, original: Program) -> Iterator[Row]:
    """Flows of both programs against their own servers."""
    rates: list[tuple[float, float, float]] = []
    script = "from {0} import flow\n@flow\ndef f(): pass\nf()"
    for program in (original, ours):
        with server(program) as running:
            before = running.cpu_seconds()
            done = program.work("sequential", 1000, "--visible")
            cost = done["cpu_seconds"] + running.cpu_seconds() - before
            running.settle()
            _, hello = best(program, str(program.python), "-c", script.format(program.package), repeats=3)
            rates.append((1000 / done["visible_seconds"], cost, hello))
    theirs, mine = rates
    yield ratio_row("1,000 tasks over HTTP, until visible", theirs[0], mine[0], "/s", 20, "≥ 20×")
    yield cost_row("  the same, CPU a task in all", theirs[1], mine[1], 20, digits=2)
    yield cost_row("hello flow, whole process, server running", theirs[2] * 1000, mine[2] * 1000, 8)


SINGLE_RUNS, RUNS_AT_ONCE = 5, 20


def dispatch(ours: Program, original: Program) -> Iterator[Row]:
    """Runs that others create, until they are started and until they have ended."""
    for way, what in (("worker", "one idle process worker"), ("serve", "one flow that is served")):
        found: list[dict[str, float]] = []
        for program in (original, ours):
            with server(program):
                words = (str(HERE / "dispatch.py"), program.package, way, str(SINGLE_RUNS), str(RUNS_AT_ONCE))
                found.append(json.loads(program.run(str(program.python), *words)[0].strip().splitlines()[-1]))
        theirs, mine = found
        yield cost_row(f"{what}: from create to Running, median", theirs["start_seconds"] * 1000, mine["start_seconds"] * 1000, 12)
        yield cost_row(f"  {RUNS_AT_ONCE} runs created at once, until all have ended", theirs["all_seconds"], mine["all_seconds"], 10, "s", 1)
