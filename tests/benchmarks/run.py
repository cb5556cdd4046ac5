"""Measure headrace beside the released original, in one run, and print a table of ratios: `nox -s bench`.

    python run.py --headrace PYTHON --yardstick PYTHON --aws PYTHON --dbt PYTHON [--only WORD]

Each argument is an interpreter of an environment that was installed with byte code compiled. On a noisy machine only the ratios
mean something.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import integrations
import servers
from programs import HERE, REPEATS, Program, Row, best, milliseconds, times

# --- start-up -----------------------------------------------------------------------------------------------------------


def imports(ours: Program, original: Program) -> Iterator[Row]:
    def line(program: Program) -> str:
        return f"from {program.package} import flow, task"

    theirs, _ = best(original, str(original.python), "-c", line(original))
    mine, _ = best(ours, str(ours.python), "-c", line(ours))
    ratio = theirs / mine
    yield Row("import of flow and task, CPU", milliseconds(theirs), milliseconds(mine), times(ratio), "≥ 7×, aim 10×", ratio >= 7)
    count = "import sys; n = len(sys.modules); {}; print(len(sys.modules) - n)"
    theirs_modules = int(original.run(str(original.python), "-c", count.format(line(original)))[0])
    modules = int(ours.run(str(ours.python), "-c", count.format(line(ours)))[0])
    bare = int(ours.run(str(ours.python), "-c", count.format("import headrace"))[0])
    yield Row("modules of the same import", str(theirs_modules), str(modules), times(theirs_modules / modules), "≤ 300", modules <= 300)
    yield Row("modules of `import headrace`", "", str(bare), "", "≤ 60", bare <= 60)


def command_line(ours: Program, original: Program) -> Iterator[Row]:
    for arguments in (["version"], ["--help"]):
        theirs, _ = best(original, original.command("prefect"), *arguments, repeats=3)
        mine, _ = best(ours, ours.command("headrace"), *arguments)
        ratio = theirs / mine
        yield Row(f"`{' '.join(arguments)}`, CPU", milliseconds(theirs), milliseconds(mine), times(ratio), "≥ 8×", ratio >= 8)


def whole_process(ours: Program, original: Program) -> Iterator[Row]:
    script = "from {0} import flow, task\n@task\ndef t(): pass\n@flow\ndef f(): t()\nf()"
    _, theirs = best(original, str(original.python), "-c", script.format("prefect"), repeats=2)
    _, mine = best(ours, str(ours.python), "-c", script.format("headrace"))
    ratio = theirs / mine
    yield Row("whole process, one flow, one task", milliseconds(theirs), milliseconds(mine), times(ratio), "≥ 15×, aim 25×", ratio >= 15)


# --- work in flows -----------------------------------------------------------------------------------------------------------


def sequential(ours: Program, original: Program, server: servers.Server, dbos: Path) -> Iterator[Row]:
    before = server.cpu_seconds()
    theirs = original.work("sequential", 1000, "--visible")
    theirs_cpu = theirs["cpu_seconds"] + server.cpu_seconds() - before
    mine = ours.work("sequential", 1000, "--visible")
    pairs = (("in the flow", "seconds", 10), ("until visible", "visible_seconds", 50))
    for what, key, bar in pairs:
        ratio = theirs[key] / mine[key]
        rates = (f"{1000 / theirs[key]:.0f}/s", f"{1000 / mine[key]:.0f}/s")
        yield Row(f"1,000 sequential tasks, {what}", *rates, times(ratio), f"≥ {bar}×", ratio >= bar)
    ratio = theirs_cpu / mine["cpu_seconds"]
    yield Row("the same, CPU a task in all", f"{theirs_cpu:.2f} ms", f"{mine['cpu_seconds']:.3f} ms", times(ratio), "≥ 40×", ratio >= 40)
    with tempfile.TemporaryDirectory() as folder:
        program = Program(dbos, "dbos", Path(folder))
        steps = json.loads(program.run(str(dbos), str(HERE / "dbos_steps.py"), folder, "1000")[0].strip().splitlines()[-1])
    ratio = steps["seconds"] / mine["seconds"]
    yield Row(
        "steps in the flow, against dbos", f"{1000 / steps['seconds']:.0f}/s", f"{1000 / mine['seconds']:.0f}/s", times(ratio), "≥ 4×", ratio >= 4
    )


def fan_out(ours: Program, original: Program, server: servers.Server) -> Iterator[Row]:
    for name, what in (
        ("submitted", "`.submit()`, then wait"),
        ("mapped", "`.map(range(…))`"),
        ("gathered", "async, gathered"),
        ("chained", "chain of futures"),
    ):
        server.settle()
        theirs, mine = original.work(name, 1000), ours.work(name, 1000)
        ratio = theirs["seconds"] / mine["seconds"]
        yield Row(f"1,000 tasks, {what}", f"{1000 / theirs['seconds']:.0f}/s", f"{1000 / mine['seconds']:.0f}/s", times(ratio), "≥ 10×", ratio >= 10)
    server.settle()
    theirs, mine = original.work("subflows", 50), ours.work("subflows", 50)
    ratio = theirs["seconds"] / mine["seconds"]
    yield Row("50 subflows", f"{50 / theirs['seconds']:.1f}/s", f"{50 / mine['seconds']:.0f}/s", times(ratio), "≥ 100×", ratio >= 100)


def many(ours: Program) -> Iterator[Row]:
    thousand = min(ours.work("mapped", 1000)["seconds"] for _ in range(3)) / 1000
    runs = [ours.work("mapped", 10_000) for _ in range(3)]
    growth = max(run["memory_kb"] for run in runs) / 10_000
    share = min(run["seconds"] for run in runs) / 10_000 / thousand
    yield Row("10,000 mapped tasks, memory a task", "", f"{growth:.1f} KB", "", "< 5 KB", growth < 5)
    yield Row("the same, time a task against 1,000", "", f"{share:.2f}", "", "≤ 1.3", share <= 1.3)


def on_disk(ours: Program, original: Program) -> Iterator[Row]:
    count = 2000
    home = ours.home / "size"
    sized = Program(ours.python, ours.package, home, {"HEADRACE_LOGGING_TO_API_ENABLED": "true"})
    home.mkdir()
    sized.work("sequential", 1)
    before_rows, before_bytes = _database(home / "headrace.db")
    sized.work("sequential", count)
    rows, size = _database(home / "headrace.db")
    rows_each, bytes_each = (rows - before_rows) / count, (size - before_bytes) / count
    yield Row("rows on disk for a no-op task", "16", f"{rows_each:.1f}", "", "≤ 4", rows_each <= 4.05)
    yield Row("bytes on disk for a no-op task", "20 KB", f"{bytes_each:.0f}", "", "≤ 2 KB", bytes_each <= 2048)


def _database(path: Path) -> tuple[int, int]:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        rows = sum(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables)
        pages, page = connection.execute("PRAGMA page_count").fetchone()[0], connection.execute("PRAGMA page_size").fetchone()[0]
    return rows, pages * page


def plugins(ours: Program) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(50):
            _dummy_plugin(Path(folder), number)
        crowded = Program(ours.python, ours.package, ours.home, {"PYTHONPATH": folder})
        question = (
            "import time\nfrom headrace.plugin import Kind, get_registry\n"
            "began = time.process_time()\nget_registry().offers(Kind.BLOCK)\nprint(time.process_time() - began)"
        )
        line = "from headrace import flow, task"

        def asked(program: Program) -> float:
            return min(float(program.run(str(program.python), "-c", question)[0]) for _ in range(REPEATS))

        def asked_first(program: Program) -> float:
            """Ask in a new home each time, where nothing is known of any plugin yet."""
            answers: list[float] = []
            for number in range(REPEATS):
                home = Path(folder) / f"home-{number}"
                home.mkdir()
                new = Program(program.python, program.package, home, program.variables)
                answers.append(float(new.run(str(new.python), "-c", question)[0]))
                shutil.rmtree(home)
            return min(answers)

        first_cost = asked_first(crowded) - asked_first(ours)
        crowded.run(str(ours.python), "-c", question)
        cost = asked(crowded) - asked(ours)
        with_them, _ = best(crowded, str(ours.python), "-c", line)
        without, _ = best(ours, str(ours.python), "-c", line)
    yield Row("50 plugins just installed, first registry question", "", f"+{first_cost * 1000:.1f} ms", "", "≤ 15 ms", first_cost <= 0.015)
    yield Row("50 plugins known, first question of a process", "", f"+{cost * 1000:.1f} ms", "", "≤ 15 ms", cost <= 0.015)
    yield Row(
        "50 plugins, import of flow and task",
        milliseconds(without),
        milliseconds(with_them),
        times(with_them / without),
        "nothing",
        with_them <= without * 1.15,
    )


def _dummy_plugin(folder: Path, number: int) -> None:
    name = f"headrace_dummy_{number}"
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(
        "from headrace.plugin import Offer, hookimpl\n\n@hookimpl\ndef headrace_blocks():\n"
        f"    return [Offer('dummy-{number}', '{name}.block:Dummy', 'A dummy.')]\n"
    )
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[headrace.plugins]\ndummy-{number} = {name}.plugin\n")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True)


# --- the table -------------------------------------------------------------------------------------------------------------------


def show(rows: list[Row]) -> None:
    header = Row("work", "original", "ours", "ratio", "bar", True)
    cells = [[row.work, row.original, row.ours, row.ratio, row.bar, "met" if row.met else "MISSED"] for row in [header, *rows]]
    cells[0][-1] = ""
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    for line in cells:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headrace", type=Path, required=True, help="interpreter of an environment with headrace")
    parser.add_argument("--yardstick", type=Path, required=True, help="interpreter of an environment with the original and dbos")
    parser.add_argument("--aws", type=Path, required=True, help="interpreter of an environment with headrace-aws and what its tests need")
    parser.add_argument("--dbt", type=Path, required=True, help="interpreter of an environment with headrace-dbt and what its tests need")
    parser.add_argument("--only", default="", help="run only the parts whose name contains this word")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # servers end with the program, however it is told to end
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    homes = {name: folder / name for name in ("ours", "original", "aws", "dbt")}
    for home in homes.values():
        home.mkdir()
    ours = Program(arguments.headrace.absolute(), "headrace", homes["ours"])
    original = Program(arguments.yardstick.absolute(), "prefect", homes["original"])
    aws, dbt = (Program(python.absolute(), "headrace", homes[name]) for name, python in (("aws", arguments.aws), ("dbt", arguments.dbt)))
    rows: list[Row] = []

    def take(name: str, part: Iterator[Row]) -> None:
        if arguments.only not in name:
            return
        for row in part:
            rows.append(row)
            print(f"… {row.work}: {row.original} → {row.ours} {row.ratio}", file=sys.stderr)

    try:
        take("imports", imports(ours, original))
        take("command_line", command_line(ours, original))
        take("whole_process", whole_process(ours, original))
        take("plugins", plugins(ours))
        take("many", many(ours))
        take("on_disk", on_disk(ours, original))
        if any(arguments.only in part for part in ("sequential", "fan_out")):
            with servers.server(original) as server:
                take("sequential", sequential(ours, original, server, arguments.yardstick.absolute()))
                take("fan_out", fan_out(ours, original, server))
        take("server_start", servers.start_and_idle(ours, original))
        take("server_operations", servers.operations(ours, original))
        take("server_postgres", servers.operations_on_postgres(ours, original))
        take("server_streams", servers.streams(ours, original))
        take("server_filters", servers.filters(ours, original))
        take("server_flows", servers.flows(ours, original))
        take("server_dispatch", servers.dispatch(ours, original))
        take("integration_imports", integrations.imports(aws))
        take("integration_s3", integrations.object_store(aws))
        take("integration_dbt", integrations.dbt_build(dbt))
    finally:
        show(rows)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
