"""A call of an endpoint: its parameters and body read, its operation performed, its answer written."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from headrace.model.base import Action
from headrace.model.caller import Caller
from headrace.model.endpoints.base import Endpoint
from headrace.model.errors import InvalidRequest
from headrace.operations import table
from headrace.operations.csrf_tokens import Token, check
from headrace.server.answers import JSON, Answer, errors_of, invalid, of_error
from headrace.server.options import Options
from headrace.store.database import Database

_SECRET = frozenset({"block_documents"})
"""Nouns whose requests hold secrets."""
_LINES = frozenset({"logs", "records", "events"})
"""Nouns whose texts come from programs and lose their NULs; anywhere else a NUL is refused, for PostgreSQL cannot hold it."""
_OWNED = {("POST", "/flow_runs/"): ("owner",), ("POST", "/flow_runs/{id}/set_state"): ("owner", "claim")}
_MISSING_IS_MESSAGE = frozenset(
    {("POST", "/flow_runs/{id}/set_state"), ("POST", "/task_runs/{id}/set_state"), ("GET", "/flow_runs/{id}/graph-v2")}
    | {(method, "/automations/{id}") for method in ("GET", "PUT", "PATCH", "DELETE")}
)

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class Refused(Exception):
    """The request does not fit the endpoint; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Call:
    """One endpoint as the server calls it. Schemas are built at the first call."""

    def __init__(self, endpoint: Endpoint[Any], options: Options) -> None:
        self.endpoint = endpoint
        self._parameter_bytes_max = options.parameter_bytes_max
        self.operation = table.find(endpoint)
        self._is_secret = endpoint.noun in _SECRET
        key = (endpoint.method, endpoint.path)
        self.names_taken: tuple[str, ...] = _OWNED.get(key, ())
        self._missing_is_message = key in _MISSING_IS_MESSAGE
        self._body: TypeAdapter[Any] | None = None
        self._returns: TypeAdapter[Any] | None = None
        self._query: TypeAdapter[Any] | None = None

    def perform(self, database: Database, parameters: dict[str, Any], query: bytes, raw: bytes, caller: Caller, token: Token | None) -> Answer:
        """Read, perform, write. Runs in a thread of a lane. `token` is one to check before."""
        try:
            if token is not None:
                check(database, token)
            if self.endpoint.query:
                parameters |= self._read_query(query)
            body = None if self.endpoint.body is None else self._read_body(raw)
            value, status = table.answer(database, self.endpoint, body, parameters, caller)
            return self._write(value, status)
        except Refused as refused:
            return refused.answer
        except Exception as error:  # noqa: BLE001  # the border: every error becomes an answer
            return of_error(error, missing_is_message=self._missing_is_message)

    def _write(self, value: Any, status: int) -> Answer:
        if status == 204:
            return Answer(204)
        if self.endpoint.returns is None:
            return Answer(status, b"null")
        if self.endpoint.media_type != "application/json":
            return Answer(status, str(value).encode(), f"{self.endpoint.media_type}; charset=utf-8".encode())
        if self._returns is None:
            self._returns = TypeAdapter(self.endpoint.returns)
        return Answer(status, self._returns.dump_json(value), JSON)

    def _read_body(self, raw: bytes) -> Any:
        adapter = self._body
        if adapter is None:
            adapter = self._body = TypeAdapter(self.endpoint.body)
        if not raw and self.endpoint.body is str:
            return ""
        if not raw or raw == b"null":
            if not _has_parts(self.endpoint.body):
                raise Refused(
                    invalid([{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}], None, is_secret=self._is_secret)
                )
            raw = b"{}"
        if b"\\u0000" in raw and _NUL.search(raw):
            raw = self._without_nul(raw)
        try:
            if b"NaN" in raw or b"Infinity" in raw:
                from_json(raw, allow_inf_nan=False)
            read = adapter.validate_json(raw)
        except ValidationError as error:
            raise Refused(self._unfit(error, raw)) from error
        except ValueError as error:
            raise Refused(self._no_json(str(error))) from error
        if self._parameter_bytes_max and len(raw) > self._parameter_bytes_max:
            self._check_parameters(raw)
        return read

    def _check_parameters(self, raw: bytes) -> None:
        """Refuse parameters of runs that are too long. Only a body that is longer itself needs to be looked at."""
        given: Any = from_json(raw)
        every = cast("list[Any]", given) if isinstance(given, list) else [given]
        for one in every:
            parameters: Any = cast("dict[str, Any]", one).get("parameters") if isinstance(one, dict) else None
            size = len(to_json(parameters)) if parameters else 0
            if size > self._parameter_bytes_max:
                raise InvalidRequest(
                    f"Flow run parameters exceed the maximum size of {self._parameter_bytes_max} bytes: these have {size}. Store large values as "
                    "results or files and pass a reference, or raise the setting server.api.max_parameter_size."
                )

    def _without_nul(self, raw: bytes) -> bytes:
        if self.endpoint.noun in _LINES:
            return _NUL.sub(rb"\1", raw)
        error = {"type": "value_error", "loc": ("body",), "msg": "Value error, A text holds the character NUL, which cannot be stored", "input": None}
        raise Refused(invalid([error], None, is_secret=True))

    def _unfit(self, error: ValidationError, raw: bytes) -> Answer:
        errors = errors_of(error, "body")
        if errors[0]["type"] == "json_invalid":
            return self._no_json(errors[0]["ctx"]["error"])
        return invalid(errors, from_json(raw), is_secret=self._is_secret)

    def _no_json(self, reason: str) -> Answer:
        error = {"type": "json_invalid", "loc": ("body", 0), "msg": "JSON decode error", "input": {}, "ctx": {"error": reason}}
        return invalid([error], None, is_secret=self._is_secret)

    def _read_query(self, query: bytes) -> dict[str, Any]:
        given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
        found: dict[str, Any] = {}
        for name, kind, *default in self.endpoint.query:
            if name not in given:
                if not default:
                    error = {"type": "missing", "loc": ("query", name), "msg": "Field required", "input": None}
                    raise Refused(invalid([error], None, is_secret=self._is_secret))
            else:
                try:
                    found[name.replace("-", "_")] = TypeAdapter(kind).validate_strings(given[name])
                except ValidationError as error:
                    errors = errors_of(error, "query")
                    raise Refused(invalid([{**one, "loc": ("query", name)} for one in errors], None, is_secret=self._is_secret)) from error
        return found


def owner_of(headers: dict[bytes, bytes], names: tuple[str, ...]) -> dict[str, UUID]:
    """Return what the headers say of the run's `owner`, the process that runs it, and of the `claim` that it was started for.

    Raises `InvalidRequest`.
    """
    found: dict[str, UUID] = {}
    for name in names:
        given = headers.get(f"x-headrace-{name}".encode())
        if given is None:
            continue
        try:
            found[name] = UUID(given.decode("latin-1"))
        except ValueError as error:
            raise InvalidRequest(f"The header X-Headrace-{name.title()} must hold a UUID.", status=400) from error
    return found


def _has_parts(body: Any) -> bool:
    """Say whether a body is made of parts that a request may leave out all together (one with `extra="ignore"`)."""
    return isinstance(body, type) and hasattr(body, "model_fields") and not issubclass(body, Action)
