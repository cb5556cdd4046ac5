"""A BigQuery for tests: bqemulator, started by the first of a session's processes and ended with the last.

It has an environment of its own, in the user's cache folder: it pins packages that others need newer, and its pytest plugin breaks pytest.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from headrace.testing.starting import ServiceMissing, free_port, is_open, wait_for

from .http_server import served

VERSION = "1.4.0"
PACKAGES = (f"bqemulator=={VERSION}", "duckdb==1.5.5", "duckdb-extensions==1.5.5", "duckdb-extension-spatial==1.5.5", "numpy")
"""Newer versions of DuckDB have no spatial extension on the package index."""
INSTALL_SECONDS_MAX = 600
PLACE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "headrace-tests" / f"bqemulator-{VERSION}-{sys.version_info.minor}"

_KEEPER = """
import fcntl, os, subprocess, sys
import duckdb_extensions
folder, port, grpc = sys.argv[1:]
duckdb_extensions.import_extension("spatial")
words = [os.path.join(os.path.dirname(sys.executable), "bqemulator"), "start", "--rest-port", port, "--grpc-port", grpc, "--log-level", "warning"]
emulator = subprocess.Popen(words)
with open(os.path.join(folder, "users"), "a") as users:
    fcntl.flock(users, fcntl.LOCK_EX)  # had once no process of the session uses it any more
    emulator.terminate()
    try:
        emulator.wait(20)
    except subprocess.TimeoutExpired:
        emulator.kill()
"""


@contextlib.contextmanager
def shared_emulator(folder: Path) -> Iterator[str]:
    """Give the address of the emulator that all who name this folder share."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (folder / "door").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            (folder / "buckets").mkdir(exist_ok=True)  # an object is a file here
            if not (folder / "port").exists():
                _start(_installed(), folder)
        yield f"http://127.0.0.1:{(folder / 'port').read_text()}"


def _start(python: Path, folder: Path) -> None:
    port, log = free_port(), folder / "log"
    home = folder / "home"  # DuckDB keeps its extensions there
    home.mkdir(exist_ok=True)
    words = [python, "-c", _KEEPER, folder, str(port), str(free_port())]
    env = {**os.environ, "HOME": str(home), "BQEMU_GCS_LOCAL_ROOT": str(folder / "buckets")}
    with log.open("wb") as out:
        keeper = subprocess.Popen(words, env=env, stdout=out, stderr=out, start_new_session=True)
    wait_for(lambda: is_open(port), keeper, log)
    (folder / "port").write_text(str(port))


def _installed() -> Path:
    """Return the interpreter of the emulator's environment, made once for this user. Raises `ServiceMissing`."""
    python = PLACE / "bin" / "python"
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    with PLACE.with_suffix(".door").open("a") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        if not (PLACE / "ready").exists():
            shutil.rmtree(PLACE, ignore_errors=True)
            uv = shutil.which("uv")
            if uv is not None:
                _run([uv, "venv", "--python", sys.executable, str(PLACE)])
                _run([uv, "pip", "install", "--python", str(python), *PACKAGES])
            else:
                _run([sys.executable, "-m", "venv", str(PLACE)])
                _run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES])
            (PLACE / "ready").touch()
    return python


def _run(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
    if done.returncode:
        raise ServiceMissing(f"These tests need {PACKAGES[0]}, and it could not be installed into {PLACE}: {done.stderr.strip()[-2000:]}")


@dataclass
class Proxy:
    """What stands before the emulator. Rows with a column `unknown` are refused."""

    url: str = ""
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """The JSON that was posted, by path."""
    lost: int = 0
    """So many answers to jobs that begin are lost: a failure of the service is told, and the job is under way."""
    jobs: set[str] = field(default_factory=set)
    on_wait: Callable[[], None] | None = None
    """What happens, once, while somebody waits for a query."""


@contextlib.contextmanager
def recording(emulator: str) -> Iterator[Proxy]:
    """Give a proxy before the emulator."""
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told = {} if not body else json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            proxy.posted.append((self.path, told))
            refused = [index for index, row in enumerate(told.get("rows", [])) if "unknown" in row["json"]]
            if refused:
                error = {"reason": "invalid", "location": "unknown", "message": "no such field: unknown."}
                self.answer(200, json.dumps({"insertErrors": [{"index": index, "errors": [error]} for index in refused]}).encode())
            elif self.is_known(told):
                error = {"reason": "duplicate", "message": f"Already Exists: Job project-one:US.{told['jobReference']['jobId']}"}
                self.answer(409, json.dumps({"error": {"code": 409, "message": error["message"], "errors": [error]}}).encode())
            else:
                is_lost = proxy.lost > 0 and self.path.partition("?")[0].endswith("/jobs")
                proxy.lost -= is_lost
                self.forward(body, is_lost)

        def is_known(self, told: dict[str, Any]) -> bool:
            """Say whether a job has begun before, which BigQuery refuses and the emulator does not."""
            job = told.get("jobReference", {}).get("jobId")
            is_known = job in proxy.jobs
            proxy.jobs |= {job} if job else set()
            return is_known

        def do_GET(self) -> None:
            happens, proxy.on_wait = proxy.on_wait if "/queries/" in self.path else None, None if "/queries/" in self.path else proxy.on_wait
            if happens is not None:
                happens()
            self.forward(None)

        def forward(self, body: bytes | None, is_lost: bool = False) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding", "content-length")}
            try:
                with urlopen(Request(f"{emulator}{self.path}", body, headers, method=self.command), timeout=60) as answer:
                    status, content = answer.status, answer.read()
                    lost = b'{"error": {"code": 503, "message": "The answer was lost.", "errors": [{"reason": "backendError"}]}}'
                    self.answer(503, lost) if is_lost else self.answer(status, content)
            except HTTPError as error:
                self.answer(error.code, error.read())

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with served(Handler) as proxy.url:
        yield proxy
