"""Measure how much longer dbt takes in a flow than by itself: `python benchmark.py --models 200 --rounds 3`.

Builds a project of models and tests on DuckDB, each time in a process of its own and in turns, and takes the shortest times, first of the
builds alone, then of whole processes from start to end. The last line is JSON, for `nox -s bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLAIN = """
import time
from dbt.cli.main import dbtRunner
began = time.perf_counter()
assert dbtRunner().invoke(["build"]).success
print("took", time.perf_counter() - began)
"""
OURS = """
import time
from headrace import flow
from headrace_dbt import HeadraceDbtRunner

@flow
def run_dbt():
    return HeadraceDbtRunner().invoke(["build"]).success

began = time.perf_counter()
assert run_dbt()
print("took", time.perf_counter() - began)
"""


def make_project(folder: Path, models: int, threads: int) -> None:
    """Write a project of models in layers of twenty, each model made from two of the layer before; every fifth has a test."""
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: bench\nversion: '1.0'\nprofile: bench\nmodels: {+materialized: table}\n")
    (folder / "profiles.yml").write_text(f"bench: {{target: dev, outputs: {{dev: {{type: duckdb, path: bench.duckdb, threads: {threads}}}}}}}\n")
    tested = ["models:"]
    for number in range(models):
        above = [number - 20, number - 20 + (1 if number % 20 < 19 else -1)] if number >= 20 else []
        source = " union all ".join(f"select id from {{{{ ref('model_{one}') }}}}" for one in above) or "select range as id from range(100)"
        (folder / "models" / f"model_{number}.sql").write_text(f"select distinct id from ({source})")
        if number % 5 == 0:
            tested.append(f"  - {{name: model_{number}, columns: [{{name: id, data_tests: [not_null]}}]}}")
    (folder / "models" / "schema.yml").write_text("\n".join(tested) + "\n")


def measured(script: Path, folder: Path) -> tuple[float, float]:
    """Run a script in the project, and return the seconds of the build and of the whole process."""
    (folder / "bench.duckdb").unlink(missing_ok=True)
    home = folder / "home"
    environment = {**os.environ, "HEADRACE_HOME": str(home), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return float(done.stdout.rpartition("took ")[2].split()[0]), whole


def main() -> None:
    """Measure both in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dbt-bench-") as name:
        folder = Path(name) / "project"
        make_project(folder, options.models, options.threads)
        scripts = {"plain": Path(name) / "plain.py", "headrace": Path(name) / "ours.py"}
        scripts["plain"].write_text(PLAIN)
        scripts["headrace"].write_text(OURS)
        measured(scripts["plain"], folder)  # the first one parses, for all
        times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in scripts}
        for _ in range(options.rounds):
            for kind, script in scripts.items():
                times[kind].append(measured(script, folder))
                print(f"{kind}: build {times[kind][-1][0]:.2f} s, process {times[kind][-1][1]:.2f} s", flush=True)
    results: list[dict[str, object]] = []
    for part, work in enumerate((f"dbt build of {options.models} models", "the same, whole process")):
        ours, plain = (min(one[part] for one in times[kind]) for kind in ("headrace", "plain"))
        print(f"{work}: {ours / plain:.3f} of plain dbt")
        results.append({"work": work, "ours": ours, "plain": plain})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
