"""A job service behind HTTP, for tests: each job is a process of this machine. It can be told to fail as services do.

POST /jobs {"token", "env", "command", "labels"} -> 201 {"id"}; POST /jobs/ID/stop;
GET /jobs?token=…; GET /jobs/ID; GET /jobs/ID/logs?after=N; DELETE /jobs/ID
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Job:
    id: str
    asked: dict[str, Any]
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    is_removed: bool = False
    reader: threading.Thread | None = None

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


class JobService:
    """The service as its owner sees it."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.faults: list[tuple[str, str]] = []
        """What goes wrong next: the call (`submit`, `find`, `poll`, `stop`, `logs`) and how (`lost`, `dropped`, `busy`, `refused`, `hung`)."""
        self.calls: list[str] = []
        self.stand_in: list[str] | None = None
        """A command that is run instead of the jobs' own."""
        self.waits_for = ""
        """What jobs wait for before they count as running."""
        self.is_awake = threading.Event()
        """Set, to let go of calls that hang (the fault `hung`)."""
        self.url = ""
        self._lock = threading.Lock()

    def fault(self, call: str) -> str | None:
        with self._lock:
            self.calls.append(call)
            for index, (name, how) in enumerate(self.faults):
                if name == call:
                    del self.faults[index]
                    return how
        return None

    def submit(self, asked: dict[str, Any]) -> Job:
        command = self.stand_in or ["/bin/sh", "-c", asked["command"]]
        process = subprocess.Popen(
            command, env=asked["env"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        with self._lock:
            job = Job(f"job-{len(self.jobs)}", asked, process)
            self.jobs[job.id] = job
        job.reader = threading.Thread(target=job.read, daemon=True)
        job.reader.start()
        return job

    def close(self) -> None:
        self.is_awake.set()
        for job in self.jobs.values():
            job.process.kill()
            job.process.wait()


class Handler(BaseHTTPRequestHandler):
    service: JobService

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: Any = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def is_faulty(self, call: str) -> bool:
        how = self.service.fault(call)
        if how == "busy":
            self.answer(429, {"error": "too many requests"})
        elif how == "refused":
            self.answer(403, {"error": "you may not do this"})
        elif how == "hung":
            self.service.is_awake.wait(30)
            self.answer(503)
        elif how == "dropped":
            self.close_connection = True
            self.connection.shutdown(2)
        elif how == "lost":
            self.is_answer_lost = True
        return how in ("busy", "refused", "dropped", "hung")

    is_answer_lost = False

    def job(self) -> Job | None:
        job = self.service.jobs.get(urlsplit(self.path).path.split("/")[2])
        if job is None or job.is_removed:
            self.answer(404, {"error": "no such job"})
            return None
        return job

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.path.endswith("/stop"):
            if self.is_faulty("stop") or (job := self.job()) is None:
                return
            if job.process.poll() is not None:
                self.answer(409, {"error": "it has ended"})
                return
            job.process.terminate()
            job.process.wait(10)
            self.answer(200, {})
            return
        if self.is_faulty("submit"):
            return
        if asked["image"] == "missing":
            self.answer(400, {"error": "there is no image 'missing'"})
            return
        job = self.service.submit(asked)
        if self.is_answer_lost:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.answer(201, {"id": job.id})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path == "/jobs":
            if not self.is_faulty("find"):
                token = query["token"][0]
                self.answer(200, [job.id for job in self.service.jobs.values() if job.asked["token"] == token])
        elif parts.path.endswith("/logs"):
            if not self.is_faulty("logs") and (job := self.job()) is not None:
                if job.process.poll() is not None and job.reader is not None:
                    job.reader.join(10)  # all that it wrote is there
                start = int(query.get("after", ["0"])[0])
                page = job.lines[start : start + 100]
                self.answer(200, {"lines": page, "after": str(start + len(page))})
        elif not self.is_faulty("poll") and (job := self.job()) is not None:
            self.answer(200, {"exit_code": job.process.poll(), "waits_for": self.service.waits_for})

    def do_DELETE(self) -> None:
        if (job := self.job()) is not None:
            job.is_removed = True
            self.answer(200, {})


@contextmanager
def job_service() -> Iterator[JobService]:
    """Serve until the block ends; what runs then is killed."""
    service = JobService()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"service": service}))
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        service.close()


WAITING = [sys.executable, "-u", "-c", "import sys; print('up', flush=True); sys.exit(int(sys.stdin.readline() or 143))"]
"""A stand-in that ends with the status which it is told."""
