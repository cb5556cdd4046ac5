"""A small weather service on this machine, for the pipeline to fetch from: it answers each year's first request with "503, try again"."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DATA = Path(__file__).parent / "data" / "seattle_weather.csv"


class Service(ThreadingHTTPServer):
    """Serves `/<year>.csv` from the observations, and counts its answers by status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: Counter[int] = Counter()
        self.seen: set[str] = set()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request for one year."""

    server: Service

    def do_GET(self) -> None:
        year = self.path.strip("/").removesuffix(".csv")
        header, *rows = DATA.read_text().splitlines()
        rows = [row for row in rows if row.startswith(f"{year}-")]
        with self.server.lock:
            status = 404 if not rows else 200 if year in self.server.seen else 503
            self.server.seen.add(year)
            self.server.answers[status] += 1
        body = "\n".join([header, *rows, ""]).encode() if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the pipeline logs what matters."""


@contextmanager
def serve() -> Iterator[Service]:
    """Run the service for as long as the block lasts."""
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
