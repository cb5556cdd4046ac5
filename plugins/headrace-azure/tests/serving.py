"""What all fakes of Azure's services stand on: requests with JSON, answered on a free port of this machine, over TLS where they have to be."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .certificates import Certificates


class Handler(BaseHTTPRequestHandler):
    """Answers requests one by one; a subclass says how, by `respond`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def respond(self, content: bytes) -> None:
        """Answer a request with this content."""
        raise AssertionError(f"nobody answers {self.command} {self.path}")

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """Send an answer, as JSON; None: without content."""
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.respond(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: Certificates | None = None) -> Iterator[str]:
    """Serve and give the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
