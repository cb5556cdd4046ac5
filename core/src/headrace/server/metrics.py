"""What Prometheus reads: requests by method and status, runs by state, and the process itself."""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Iterable, Mapping

from headrace.model import clock
from headrace.store.database import Database

MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Metrics:
    """Counts requests; all else is asked for when it is read."""

    def __init__(self) -> None:
        self._began = clock.now().timestamp()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: Counter[tuple[str, int]] = Counter()

    def count(self, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests[method, status] += 1
        self._seconds[method, status] += seconds  # pyright: ignore[reportArgumentType]  # a Counter adds floats as well

    def written(self, waiting: Mapping[str, int], runs: Mapping[str, Mapping[str, int]]) -> bytes:
        """Return everything as text. `waiting` counts calls by lane, `runs` flow and task runs by state type."""
        lines = [
            *_family("headrace_http_requests_total", "counter", "Requests answered.", self._by_request(self._requests)),
            *_family("headrace_http_request_seconds_total", "counter", "Seconds spent on requests.", self._by_request(self._seconds)),
            *_family("headrace_calls_waiting", "gauge", "Calls that wait for the database or are at it.", _labelled("lane", waiting)),
            *_family("headrace_flow_runs", "gauge", "Flow runs that there are.", _labelled("state", runs["flow_run"])),
            *_family("headrace_task_runs", "gauge", "Task runs that there are.", _labelled("state", runs["task_run"])),
            *_family("process_start_time_seconds", "gauge", "When the server started, since 1970.", [("", self._began)]),
            *_family("process_cpu_seconds_total", "counter", "Processor time used.", [("", _cpu_seconds())]),
            *_family("process_resident_memory_bytes", "gauge", "Memory in use.", [("", _resident_bytes())]),
        ]
        return "\n".join([*lines, ""]).encode()

    def _by_request(self, counts: Mapping[tuple[str, int], float]) -> Iterable[tuple[str, float]]:
        return [(f'{{method="{method}",status="{status}"}}', value) for (method, status), value in sorted(counts.items())]


def runs_by_state(database: Database) -> dict[str, dict[str, int]]:
    """Count flow runs and task runs by the type of their state, in lower case. Reads the database."""
    with database.read() as tx:
        return {
            table: {(state or "none").lower(): count for state, count in tx.sql(f"SELECT state_type, COUNT(*) FROM {table} GROUP BY state_type")}
            for table in ("flow_run", "task_run")
        }


def _family(name: str, kind: str, help: str, samples: Iterable[tuple[str, float]]) -> list[str]:
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}", *(f"{name}{labels} {value!r}" for labels, value in samples)]


def _labelled(label: str, counts: Mapping[str, int]) -> list[tuple[str, float]]:
    return [(f'{{{label}="{value}"}}', count) for value, count in sorted(counts.items())]


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # where there is no /proc: the most that it ever was
