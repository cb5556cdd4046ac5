"""An object store behind HTTP, for tests, and a block for it as a plugin would have it. It can be told to fail as stores do.

GET /pail?prefix=…&after=… -> [[key, size, etag], …] (pages of 100); HEAD, GET (Range, If-Match), PUT (chunked too), DELETE /pail/KEY;
PUT with X-Copy-From copies.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import md5
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pydantic import SecretStr

from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreBlock, ObjectStoreDriver, ObjectStoreError, Progress, StoredObject

PIECE = 64 * 1024


class PailService:
    """The service as its owner sees it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.pails = {"pail", "other"}
        self.cut_after: list[int] = []
        """After how many bytes the next answers break off."""
        self.refused: set[str] = set()
        """Keys that nobody may write or delete."""
        self.requests: list[str] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.gate: threading.Event | None = None
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: PailService

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.service.cut_after.pop(0) if self.command == "GET" and self.path.count("/") > 1 and self.service.cut_after else None
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)

    def handle_one(self) -> None:
        service = self.service
        with service.lock:
            service.requests.append(f"{self.command} {unquote(self.path)}")
            service.at_once += 1
            service.most_at_once = max(service.most_at_once, service.at_once)
        try:
            body = self.body()
            if service.gate is not None and self.command in ("GET", "PUT") and "?" not in self.path:
                service.gate.wait(30)
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone
                self.serve(body)
        finally:
            with service.lock:
                service.at_once -= 1

    do_GET = do_HEAD = do_PUT = do_DELETE = handle_one

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = b""
        while size := int(self.rfile.readline(), 16):
            pieces += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return pieces

    def serve(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        pail, _, key = unquote(parts.path).lstrip("/").partition("/")
        objects, name = self.service.objects, f"{pail}/{key}"
        if pail not in self.service.pails:
            return self.answer(404, b"no such pail")
        if self.headers.get("Authorization") != "opens":
            return self.answer(403, b"who are you?")
        if not key and self.command == "GET":
            query = parse_qs(parts.query, keep_blank_values=True)
            start = f"{pail}/{query['prefix'][0]}"
            after = f"{pail}/{query['after'][0]}"
            keys = sorted(one for one in objects if one.startswith(start) and (not query["after"][0] or one > after))[:100]
            return self.answer(200, json.dumps([[one[len(pail) + 1 :], len(objects[one]), etag(objects[one])] for one in keys]).encode())
        if self.command == "PUT":
            if key in self.service.refused:
                return self.answer(409, b"this key is locked")
            if source := self.headers.get("X-Copy-From"):
                if unquote(source) not in objects:
                    return self.answer(404, b"no such key")
                body = objects[unquote(source)]
            objects[name] = body
            return self.answer(200)
        if self.command == "DELETE":
            if key in self.service.refused:
                return self.answer(409, b"this key is locked")
            objects.pop(name, None)
            return self.answer(204)
        if name not in objects:
            return self.answer(404, b"no such key")
        content = objects[name]
        if self.headers.get("If-Match") not in (None, etag(content)):
            return self.answer(412, b"it has changed")
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if self.command == "HEAD":
            return self.answer(200, ETag=etag(content), length=str(len(content)))
        return self.answer(206 if start else 200, content[start:], ETag=etag(content))


def etag(content: bytes) -> str:
    return md5(content).hexdigest()


@contextmanager
def pail_service() -> Iterator[PailService]:
    """Serve until the block ends."""
    service = PailService()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"service": service}))
    server.daemon_threads = True
    service.url = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


# --- what a plugin has


class PailError(Exception):
    """What the SDK of this store would raise."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status


class PailDriver(ObjectStoreDriver):
    """One pail, over a connection for each call."""

    def __init__(self, host: str, pail: str, token: str) -> None:
        self.host, self.pail, self.token = host, pail, token

    @property
    def place(self) -> str:
        return f"pail://{self.pail}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        connection = HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, path, body, {**headers, "Authorization": self.token}, encode_chunked="Transfer-Encoding" in headers)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise PailError(answer.status, answer.read().decode())
            return answer
        finally:
            if method != "GET":
                connection.close()

    def path(self, key: str) -> str:
        return f"/{self.pail}/{quote(key)}"

    def list(self, prefix: str) -> Iterator[StoredObject]:
        after = ""
        while True:
            page = json.loads(self.ask("GET", f"/{self.pail}?prefix={quote(prefix, safe='')}&after={quote(after, safe='')}").read())
            yield from (StoredObject(key, size, tag) for key, size, tag in page)
            if len(page) < 100:
                return
            after = page[-1][0]

    def head(self, key: str) -> StoredObject:
        answer = self.ask("HEAD", self.path(key))
        return StoredObject(key, int(answer.headers["Content-Length"]), answer.headers["ETag"])

    def read(self, key: str, start: int = 0, version: str | None = None, **options: Any) -> Iterator[bytes]:
        headers = {"Range": f"bytes={start}-"} | ({"If-Match": version} if version else {})
        with self.ask("GET", self.path(key), **headers) as answer:
            while True:
                try:
                    piece = answer.read(PIECE)
                except IncompleteRead as error:
                    raise ConnectionError("the content broke off") from error
                if not piece:
                    return
                yield piece

    def write(self, key: str, content: BinaryIO, size: int | None, progress: Progress, **options: Any) -> None:
        def pieces() -> Iterator[bytes]:
            while piece := content.read(PIECE):
                progress(len(piece))
                yield piece

        headers = {"Content-Length": str(size)} if size is not None else {"Transfer-Encoding": "chunked"}
        self.ask("PUT", self.path(key), pieces(), **headers)

    def delete(self, key: str) -> None:
        self.ask("DELETE", self.path(key))

    def copy(self, key: str, to_container: str | None, to_key: str, **options: Any) -> None:
        self.ask("PUT", f"/{to_container or self.pail}/{quote(to_key)}", b"", **{"X-Copy-From": quote(f"{self.pail}/{key}")})

    def explain(self, error: Exception, key: str) -> Exception | None:
        if not isinstance(error, PailError):
            return None
        if error.status == 404 and "pail" in str(error):
            return ObjectStoreError(f"There is no pail {self.pail!r}. Make it, or correct the name.")
        if error.status == 404:
            return ObjectNotFound(f"There is no object {key!r} in {self.place}.")
        return ObjectStoreError(f"The credentials do not open {self.place}.") if error.status == 403 else None


class Pail(ObjectStoreBlock):
    """A pail of objects."""

    host: str
    pail_name: str = "pail"
    pail_folder: str = ""
    token: SecretStr = SecretStr("opens")

    @property
    def basepath(self) -> str:
        return self.pail_folder

    @property
    def container(self) -> str:
        return self.pail_name

    def open_driver(self) -> ObjectStoreDriver:
        return PailDriver(self.host, self.pail_name, self.token.get_secret_value())
