"""The two programs that are compared, how they are run, and a line of the table."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
REPEATS = 5


@dataclass
class Row:
    """One line of the table."""

    work: str
    original: str
    ours: str
    ratio: str
    bar: str
    met: bool


@dataclass
class Program:
    """One of the two programs: its interpreter, its package, its home."""

    python: Path
    package: str
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return self.package.upper()

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "HEADRACE_", "PYTHONDONTWRITE"))}
        home = {f"{self.prefix}_HOME": str(self.home), "DO_NOT_TRACK": "1", f"{self.prefix}_SERVER_ANALYTICS_ENABLED": "false"}
        return {**kept, **home, **self.variables}

    def command(self, name: str) -> str:
        return str(self.python.parent / name)

    def run(self, *command: str, timeout: float = 900) -> tuple[str, float, float]:
        """Run a command to its end; return (its output, seconds of processor time of it and its children, seconds of wall time)."""
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(), cwd=self.home, text=True, start_new_session=True
        )
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out, err = process.communicate(timeout=timeout)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed with {process.returncode}:\n{err[-2000:]}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return out, cpu, time.perf_counter() - began

    def work(self, name: str, count: int, *options: str) -> dict[str, float]:
        out, _, _ = self.run(str(self.python), str(HERE / "workloads.py"), self.package, name, str(count), *options)
        return json.loads(out.strip().splitlines()[-1])


def best(program: Program, *command: str, repeats: int = REPEATS) -> tuple[float, float]:
    """Return the least processor and wall seconds of several runs, after one that is not counted."""
    program.run(*command)
    runs = [program.run(*command)[1:] for _ in range(repeats)]
    return min(cpu for cpu, _ in runs), min(wall for _, wall in runs)


def times(value: float) -> str:
    return f"{value:.1f}×" if value < 20 else f"{value:.0f}×"


def milliseconds(value: float) -> str:
    return f"{value * 1000:.0f} ms"
