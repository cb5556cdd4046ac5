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

from programs import Program, Row, best, times

HERE = Path(__file__).parent
CLIENTS = 16
IDLE_SECONDS = 15
LOAD_SECONDS = 5.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Server:
    """A running server of one of the programs, in a process group of its own."""

    def __init__(self, program: Program, process: subprocess.Popen[bytes], api_url: str, start_seconds: float) -> None:
        self.program = program
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
            raise SystemExit(f"{work} on {self.program.package} failed:\n{done.stderr[-2000:]}")
        result = json.loads(done.stdout.strip().splitlines()[-1])
        return {**result, "rate": result["count"] / result["seconds"], "cpu": (self.cpu_seconds() - before) / result["count"]}


@contextmanager
def server(program: Program, **settings: str) -> Iterator[Server]:
    """Start a program's server on a free port; flows of the program use it meanwhile. `settings` have names without the prefix."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [program.command(program.package), "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env={**program.environment(), **{f"{program.prefix}_{name}": value for name, value in settings.items()}},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=program.home,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/api"
    try:
        while time.perf_counter() - began < 90:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.01)
        else:
            raise SystemExit(f"the server of {program.package} did not start within 90 s")
        program.variables[f"{program.prefix}_API_URL"] = url
        yield Server(program, process, url, time.perf_counter() - began)
    finally:
        program.variables.pop(f"{program.prefix}_API_URL", None)
        os.killpg(process.pid, 15)
        process.wait(timeout=60)


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


OPERATIONS = (("create", "flow runs created", 15), ("set_state", "states set", 10), ("read", "flow runs read", 10))


def operations(ours: Program, original: Program, kind: str, bars: dict[str, int], **settings: dict[str, str]) -> Iterator[Row]:
    """Rates and processor time of single operations; `settings` of each program's server by package."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for program in (original, ours):
        with server(program, **settings.get(program.package, {})) as running:
            figures[program.package] = {work: running.load(original.python, work, CLIENTS, LOAD_SECONDS) for work, _, _ in OPERATIONS}
            if kind == "SQLite":
                figures[program.package]["logs"] = running.load(original.python, "logs", 4, LOAD_SECONDS)
    theirs, mine = figures[original.package], figures[ours.package]
    for work, what, bar in OPERATIONS:
        bar = bars.get(work, bar)
        rates = theirs[work]["rate"], mine[work]["rate"]
        yield ratio_row(f"{kind}: {what}, {CLIENTS} clients", *rates, "/s", bar, f"≥ {bar}×")
        yield cost_row("  the same, server CPU each", theirs[work]["cpu"] * 1000, mine[work]["cpu"] * 1000, bar, digits=2)
    if "logs" in mine:
        yield ratio_row("log lines, batches of 100", theirs["logs"]["rate"], mine["logs"]["rate"], "/s", 12, "≥ 12×")


def streams(ours: Program, original: Program) -> Iterator[Row]:
    names = ("events", "streamed", "heard_logs", "heard_events")
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for program, count in ((original, 3_000), (ours, 30_000)):
        with server(program, SERVER_LOGS_STREAM_OUT_ENABLED="true", SERVER_LOGS_STREAM_PUBLISHING_ENABLED="true") as running:
            amounts = (count, count, 20, 20)
            figures[program.package] = {name: running.load(original.python, name, 4, amount) for name, amount in zip(names, amounts, strict=True)}
    theirs, mine = figures[original.package], figures[ours.package]
    yield ratio_row("events in batches of 100, until queried", theirs["events"]["rate"], mine["events"]["rate"], "/s", 20, "≥ 20×")
    yield ratio_row("events by websocket, until queried", theirs["streamed"]["rate"], mine["streamed"]["rate"], "/s", 20, "≥ 20×")
    for name, what, bar in (("heard_logs", "log line to subscriber, median", 20), ("heard_events", "event to subscriber, median", 1)):
        yield cost_row(what, theirs[name]["median"] * 1000, mine[name]["median"] * 1000, bar, digits=1)


def crowd(database: Path, count: int) -> None:
    """Copy the newest flow run until there are `count`: same columns, ids of their own. (Over the API the original would take an hour.)"""
    with sqlite3.connect(database) as connection:
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
