"""Job services of Snowpark Container Services, as far as statements show them: part of `snowflake_server`.

A job's container is a process of this machine. Jobs of the published contract run nothing; tests say when they end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START = re.compile(
    r"EXECUTE JOB SERVICE\s+IN COMPUTE POOL (?P<pool>\w+)\s+FROM SPECIFICATION \$\$(?P<specification>.*?)\$\$\s+NAME = (?P<name>[\w$.]+)"
    r"\s+ASYNC = TRUE(?:\s+QUERY_WAREHOUSE = (?P<warehouse>\w+))?\s+COMMENT = '(?P<comment>(?:[^']|'')*)'"
    r"(?:\s+EXTERNAL_ACCESS_INTEGRATIONS = \((?P<integrations>[\w, ]+)\))?\s*",
    re.DOTALL,
)
CONTAINERS = re.compile(r"SHOW SERVICE CONTAINERS IN SERVICE ([\w$.]+)")
DROP = re.compile(r"DROP SERVICE ([\w$.]+)")
LOGS = re.compile(r"SELECT SYSTEM\$GET_SERVICE_LOGS\('([\w$.]+)', 0, '([\w-]+)', (\d+)\) AS logs")
SECRETS = {"GUIDE.PUBLIC.API_KEY": {"secret_string": "from-the-vault"}}
NOT_THERE = "SQL compilation error:\nService '{}' does not exist or not authorized."


@dataclass
class Job:
    """A job service: what it was started with, and how far it is."""

    name: str
    told: dict[str, Any]
    container: dict[str, Any]
    environment: dict[str, str]
    status: int | None = None
    is_pending: bool = False
    lines: list[str] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        command = [*self.container["command"], *self.container.get("args", [])]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE")}
        self.process = subprocess.Popen(
            command,
            env={**clean, "PATH": os.pathsep.join((str(Path(sys.executable).parent), clean["PATH"])), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            cwd=Path(clean.get("TMPDIR", "/tmp")),
        )
        threading.Thread(target=self._follow, args=(self.process,), daemon=True).start()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.lines.extend(line.rstrip("\n") for line in process.stdout)
        self.status = process.wait()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)


jobs: dict[str, Job] = {}
ever: list[Job] = []


class Refused(Exception):
    """A statement is refused: an error number, the SQL state, a text."""


def answer(statement: str) -> list[dict[str, Any]] | None:
    """Return the rows of a statement about services; None for other statements. Raises `Refused`."""
    if found := START.fullmatch(statement):
        return [{"status": start(found.groupdict())}]
    if statement.lstrip().upper().startswith("EXECUTE JOB SERVICE"):
        raise Refused("001003", "42000", f"SQL compilation error:\nsyntax error in {statement!r}")
    if found := CONTAINERS.fullmatch(statement):
        return [described(known(found[1]))]
    if found := DROP.fullmatch(statement):
        known(found[1]).end()
        del jobs[found[1]]
        return [{"status": f"{found[1]} successfully dropped."}]
    if found := LOGS.fullmatch(statement):
        return [{"logs": "\n".join(known(found[1]).lines[-int(found[3]) :])}]
    return None


def start(told: dict[str, Any]) -> str:
    if told["pool"].upper().startswith("NO"):
        raise Refused("002003", "02000", f"SQL compilation error:\nCompute pool '{told['pool']}' does not exist or not authorized.")
    if told["name"] in jobs:
        raise Refused("002002", "42710", f"SQL compilation error:\nObject '{told['name']}' already exists.")
    specification = json.loads(told.pop("specification"))
    container = specification["spec"]["containers"][0]
    environment = {name: str(value) for name, value in container.get("env", {}).items()}
    for one in container.get("secrets", []):
        environment[one["envVarName"]] = SECRETS.get(one["snowflakeSecret"]["objectName"].upper(), {}).get(one["secretKeyRef"], "no such secret")
    jobs[told["name"]] = job = Job(told["name"], {**told, "specification": specification}, container, environment)
    ever.append(job)
    if "CONTRACT" not in environment and "STAY_PENDING" not in environment:
        job.run()
    job.is_pending = "STAY_PENDING" in environment
    return f"Job {job.name} started."


def known(name: str) -> Job:
    if name not in jobs:
        raise Refused("002003", "02000", NOT_THERE.format(name))
    return jobs[name]


def described(job: Job) -> dict[str, Any]:
    """Return the row that SHOW SERVICE CONTAINERS IN SERVICE has; without a container while the job waits for a node."""
    database, schema, service = job.name.split(".")
    row: dict[str, Any] = {"database_name": database, "schema_name": schema, "service_name": service}
    if job.is_pending:
        return {
            **row,
            "service_status": "PENDING",
            "container_name": None,
            "status": None,
            "message": "Compute pool is resuming.",
            "last_exit_code": None,
        }
    ended = job.status is not None
    status = ("DONE" if job.status == 0 else "FAILED") if ended else "READY"
    message = f"Failed with exit code {job.status}" if status == "FAILED" else "Completed successfully" if ended else "Running"
    return {
        **row,
        "service_status": status if ended else "RUNNING",
        "container_name": job.container["name"],
        "status": status,
        "message": message,
        "last_exit_code": None if not ended else str(job.status),
    }


def wire(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return rows as the service answers a statement."""
    names = list(rows[0]) if rows else []
    text = {"type": "text", "nullable": True, "length": 16_777_216, "byteLength": 16_777_216, "precision": None, "scale": None}
    rowtype = [{"name": name, **text} for name in names]
    rowset = [[row[name] for name in names] for row in rows]
    return {"success": True, "data": {"queryResultFormat": "json", "rowtype": rowtype, "rowset": rowset, "total": len(rows), "returned": len(rows)}}
