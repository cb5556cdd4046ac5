"""Google's REST interfaces for tests, held to the discovery documents that Google ships: what they do not know is refused, as Google does.

A fake gives a method for each documented one that it serves, by its id: `run.projects.locations.jobs.create` is `projects_locations_jobs_create`.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import googleapiclient.discovery_cache

from .google_login import TOKEN
from .http_server import served

DOCUMENTS = Path(googleapiclient.discovery_cache.__file__).with_name("documents")


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message


@dataclass
class Asked:
    """A request: the parts of its path in their order, its query, its body."""

    names: list[str]
    path: str
    query: dict[str, str]
    body: dict[str, Any]


@dataclass
class Method:
    """A documented method."""

    name: str
    verb: str
    path: re.Pattern[str]
    parameters: set[str]
    request: str | None
    response: str | None


@dataclass
class GoogleApi:
    """One service. `faults`: what goes wrong next, by method.

    `busy` (429), `down` (503, nothing done), `lost` (503, done), `dropped` (no answer, done), `forbidden` (403), `silent` (answered after long).
    """

    document: str
    faults: list[tuple[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    url: str = ""
    lock: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        found = json.loads((DOCUMENTS / f"{self.document}.json").read_text())
        self.schemas: dict[str, Any] = found["schemas"]
        self.common = set(found["parameters"])
        self.methods = list(_methods(found["resources"], found["name"]))
        self.silence = threading.Event()

    def close(self) -> None:
        self.silence.set()

    def fault(self, name: str) -> str | None:
        with self.lock:
            self.calls.append(name)
            for index, (method, how) in enumerate(self.faults):
                if method == name:
                    del self.faults[index]
                    return how
        return None

    def find(self, verb: str, path: str) -> tuple[Method, list[str]]:
        for method in self.methods:
            found = method.path.fullmatch(path)
            if found and method.verb == verb:
                return method, list(found.groups())
        raise Refused(404, "NOT_FOUND", f"No documented method is {verb} {path}.")

    def check(self, value: Any, schema: dict[str, Any] | str, where: str) -> None:
        """Hold a value to a schema of the document."""
        told: dict[str, Any] = self.schemas[schema] if isinstance(schema, str) else schema
        if "$ref" in told:
            return self.check(value, told["$ref"], where)
        kind = told.get("type")
        if kind == "object" and "properties" in told:
            if not isinstance(value, dict):
                raise Refused(400, "INVALID_ARGUMENT", f"{where} is no object")
            for name, item in value.items():
                if name not in told["properties"]:
                    raise Refused(400, "INVALID_ARGUMENT", f'Unknown name "{name}" at {where}: Cannot find field.')
                self.check(item, told["properties"][name], f"{where}.{name}")
        elif kind == "object" and isinstance(told.get("additionalProperties"), dict):
            for name, item in value.items():
                self.check(item, told["additionalProperties"], f"{where}.{name}")
        elif kind == "array":
            for index, item in enumerate(value):
                self.check(item, told["items"], f"{where}[{index}]")
        elif "enum" in told and isinstance(value, str) and value not in told["enum"]:
            raise Refused(400, "INVALID_ARGUMENT", f'Invalid value at {where}: "{value}"')
        elif kind == "string" and not isinstance(value, str) and told.get("format") not in ("int64", "google-duration"):
            raise Refused(400, "INVALID_ARGUMENT", f"Invalid value at {where}: {value!r} is no text")
        elif kind in ("integer", "number") and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise Refused(400, "INVALID_ARGUMENT", f"Invalid value at {where}: {value!r} is no number")
        elif kind == "boolean" and not isinstance(value, bool):
            raise Refused(400, "INVALID_ARGUMENT", f"Invalid value at {where}: {value!r} is neither true nor false")
        return None

    def serve(self, verb: str, target: str, body: bytes) -> tuple[str | None, int, Any]:
        """Return what went wrong by order, the status, and the answer."""
        parts = urlsplit(target)
        method, names = self.find(verb, parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for name in query:
            if name not in method.parameters | self.common and name.lstrip("$") not in self.common:
                raise Refused(400, "INVALID_ARGUMENT", f'Unknown name "{name}": Cannot bind query parameter.')
        asked = Asked([unquote(name) for name in names], parts.path, query, json.loads(body) if body else {})
        if body and method.request:
            self.check(asked.body, method.request, method.request)
        how = self.fault(method.name)
        errors = {"busy": (429, "RESOURCE_EXHAUSTED"), "down": (503, "UNAVAILABLE"), "forbidden": (403, "PERMISSION_DENIED")}
        if how in errors:
            raise Refused(*errors[how], f"Told to be {how}.")
        if how == "silent":
            self.silence.wait(60)
        with self.lock:
            answer = getattr(self, method.name)(asked)
        if method.response:
            self.check(answer, method.response, f"answer {method.response}")
        return how, 200, answer


def _methods(resources: dict[str, Any], prefix: str) -> Iterator[Method]:
    for resource in resources.values():
        for one in resource.get("methods", {}).values():
            path = "/" + one.get("flatPath", one["path"])
            pattern = re.sub(r"\\\{\w+\\\}", "([^/:]+)", re.escape(path))
            name = one["id"].removeprefix(f"{prefix}.").replace(".", "_")
            request, response = one.get("request", {}).get("$ref"), one.get("response", {}).get("$ref")
            yield Method(name, one["httpMethod"], re.compile(pattern), set(one.get("parameters", {})), request, response)
        yield from _methods(resource.get("resources", {}), prefix)


@contextmanager
def serving(api: GoogleApi) -> Iterator[GoogleApi]:
    """Serve an interface on this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 milliseconds between head and body

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            how: str | None = None
            try:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
                how, status, answer = api.serve(self.command, self.path, body)
            except Refused as error:
                status, answer = error.code, {"error": {"code": error.code, "status": error.status, "message": error.message}}
            if how == "dropped":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if how == "lost":
                status, answer = 503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "The answer was lost."}}
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = do_PATCH = handle_one

    with served(Handler) as api.url:
        try:
            yield api
        finally:
            api.close()
