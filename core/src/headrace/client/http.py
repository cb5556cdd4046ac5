"""The client that reaches the operations over the wire: every endpoint of the table as a request, errors as the ones that operations raise."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from headrace.client import bridge
from headrace.client.codec import decode, encode
from headrace.client.http_errors import error_of, is_csrf_refusal, retry_after
from headrace.client.patience import patience_seconds
from headrace.client.transport import Answer, Transport
from headrace.model import clock, ids
from headrace.model.endpoints.base import Endpoint
from headrace.model.errors import ServerUnreachable, ServerVersionMismatch
from headrace.model.orchestration import SetState

if TYPE_CHECKING:
    from headrace.settings import Settings

R = TypeVar("R")

RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504})
RETRY_FIRST_SECONDS = 0.5
RETRY_SECONDS_MAX = 10.0
QUIET_SECONDS_MAX = 5.0
"""Who waits no longer than this is told nothing meanwhile: the error comes soon enough."""
RUN_PATIENCE_SECONDS = 60.0
"""How long what a run in progress depends on is repeated while a server that has answered before does not answer."""

API_MAJOR = "3"
"""Servers state the version of the documented interface that they speak."""
_OWN_HEADERS = frozenset({"user-agent", "prefect-csrf-token", "prefect-csrf-client", "host", "content-length", "content-type", "transfer-encoding"})

_logger = logging.getLogger("headrace.client")


class HttpClient:
    """Performs calls on the server at `url`. In a blocking run `call` never suspends; otherwise it waits in a thread, not in the event loop."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        verify: bool | str | None = None,
    ) -> None:
        """Prepare for the API at `url`; nothing is sent yet. What is given besides goes before the settings: more headers, the time to wait for
        an answer, and whether certificates are checked or with which file. Raises `ConfigurationError` for a URL that is not one."""
        self.url = url.rstrip("/")
        api, client = settings.api, settings.client
        is_tls = self.url.startswith("https:")
        self._transport = Transport(
            self.url,
            timeout_seconds=timeout_seconds or api.request_timeout,
            ca_file=verify if isinstance(verify, str) else api.ssl_cert_file if is_tls else None,
            is_verified=not api.tls_insecure_skip_verify if verify is None else bool(verify),
        )
        self._base = urlsplit(self.url).path
        self._retries_max = client.max_retries
        self._jitter = client.retry_jitter_factor
        self._retried = RETRIED_STATUSES | client.retry_extra_codes
        self._csrf_is_supported = client.csrf_support_enabled
        self._csrf_lines = ""
        self._head = _head(settings, {**client.custom_headers, **(headers or {})})
        self._checks_version = client.server_version_check_enabled
        self._has_answered = False
        self.open_runs: set[UUID] = set()
        self.claims: dict[UUID, UUID] = {}
        """By run that this process was started for, the state by which a worker took it: sent along, so that no other worker's run is spoken of."""
        self.keep_end: Callable[[UUID, bytes], str] | None = None
        self._patience_is_spent = self._is_complaining = False

    async def call(self, endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
        """Perform `endpoint`; see `Client.call`. Raises `ServerUnreachable` too, after the retries that the settings allow."""
        owner: UUID | None = parameters.pop("owner", None)
        run_id: UUID | None = parameters.get("id")
        claim: UUID | None = parameters.pop("claim", None) or (None if run_id is None else self.claims.get(run_id))
        target = self._target(endpoint, parameters)
        content = encode(body) if endpoint.body is not None and body is not None else b"{}" if endpoint.body is not None else None
        head = _names(owner, claim) if owner is not None else ""
        try:
            answer = await self.send(endpoint.method, target, content, head, seconds=RUN_PATIENCE_SECONDS if owner is not None else None)
        except ServerUnreachable as error:
            if owner is None or self.keep_end is None or content is None or not _ends_run(body):
                raise
            raise ServerUnreachable(f"{error} {self.keep_end(parameters['id'], content)}") from error
        value: Any = answer.body.decode() if endpoint.media_type != "application/json" else decode(endpoint.returns, answer.body)
        if owner is not None:
            self._note(value, parameters.get("id"))
        return value

    async def send(self, method: str, target: str, content: bytes | None = None, head: str = "", *, seconds: float | None = None) -> Answer:
        """Send a request to `target` (path and query below the API's URL), repeat it as the settings allow, and return the good answer.

        Raises what the answer stands for, and `ServerUnreachable` when none comes. A request may reach the server twice: an answer that was
        lost on its way cannot be told from a request that was. `seconds` is the patience of a call that a run in progress depends on.
        """
        if self._checks_version:
            self._checks_version = False
            await self._check_version()
        limit = patience_seconds(self._has_answered)
        if limit is None and seconds is not None and self._has_answered:
            limit = seconds
        if limit and self._patience_is_spent:
            limit = 0
        began, failures, refreshed = clock.monotonic(), 0, False
        while True:
            problem: Exception
            try:
                answer = await self._once(method, target, content, head)
            except OSError as error:
                wait, problem = 0.0, ServerUnreachable(self._unreachable(error))
                if _is_hopeless(error):
                    raise problem from error
            else:
                if answer.status not in self._retried:
                    self._note_answer()
                if answer.status < 300:
                    return answer
                if not refreshed and self._csrf_is_supported and is_csrf_refusal(answer):
                    refreshed = True
                    await self._fetch_csrf_token()
                    continue
                wait, problem = retry_after(answer), error_of(answer, method, self.url + target)
                if answer.status not in self._retried:
                    raise problem
                if answer.status >= 500:
                    problem = ServerUnreachable(f"The server at {self.url} cannot do its work now: {problem}")
            failures += 1
            wait = max(wait, self._pause(failures))
            if clock.monotonic() - began + wait > limit if limit is not None else failures > self._retries_max:
                self._patience_is_spent |= bool(limit)
                raise problem
            if failures == 1 and not self._is_complaining and (limit is None or limit > QUIET_SECONDS_MAX):
                self._is_complaining = True
                _logger.warning("%s Trying again.", problem)
            await bridge.asleep(wait)

    def _note_answer(self) -> None:
        self._has_answered, self._patience_is_spent = True, False
        if self._is_complaining:
            self._is_complaining = False
            _logger.warning("The server at %s answers again.", self.url)

    async def _once(self, method: str, target: str, content: bytes | None, head: str) -> Answer:
        changes = method != "GET"
        lines = f"{self._head}{self._csrf_lines if changes else ''}{head}"
        if bridge.in_blocking_run():
            return self._transport.send(method, self._base + target, lines, content)
        import asyncio

        return await asyncio.to_thread(self._transport.send, method, self._base + target, lines, content)

    def _pause(self, failures: int) -> float:
        import random

        base = min(RETRY_FIRST_SECONDS * 2 ** (failures - 1), RETRY_SECONDS_MAX)
        return base * (1 + random.uniform(0, self._jitter))  # spreads load, guards nothing

    def _target(self, endpoint: Endpoint[Any], parameters: dict[str, Any]) -> str:
        query = [(name, key) for name, *_ in endpoint.query if (key := name.replace("-", "_")) in parameters]
        asked = [(name, _text(parameters[key])) for name, key in query if parameters[key] is not None]
        if "{" not in endpoint.path:
            path = endpoint.path
        else:
            path = endpoint.path.format_map({key: quote(_text(value), safe="") for key, value in parameters.items()})
        return f"{path}?{urlencode(asked)}" if asked else path

    def _note(self, value: Any, run_id: UUID | None) -> None:
        state = value.state
        id = run_id or value.id
        if state is not None and (state.is_final() or state.is_paused()):
            self.open_runs.discard(id)
        else:
            self.open_runs.add(id)

    async def _check_version(self) -> None:
        answer = await self.send("GET", "/admin/version")
        stated = str(decode(str, answer.body))
        if stated.partition(".")[0] != API_MAJOR:
            raise ServerVersionMismatch(
                f"The server at {self.url} speaks version {stated!r} of the API, and this version of headrace speaks {API_MAJOR}.x. Upgrade the "
                "older of the two, or set HEADRACE_CLIENT_SERVER_VERSION_CHECK_ENABLED=false to try all the same."
            )

    async def _fetch_csrf_token(self) -> None:
        client = ids.new()
        answer = await self._once("GET", f"/csrf-token?client={client}", None, "")
        if answer.status == 200:
            token = cast("dict[str, str]", decode(dict[str, Any], answer.body))["token"]
            self._csrf_lines = f"Prefect-Csrf-Token: {token}\r\nPrefect-Csrf-Client: {client}\r\n"

    def _unreachable(self, error: OSError) -> str:
        reason = f"no answer within {self._transport.timeout_seconds:g} seconds" if isinstance(error, TimeoutError) else str(error) or repr(error)
        return f"The server at {self.url} cannot be reached: {reason}. Is it running (`headrace server start`), and is HEADRACE_API_URL right?"

    def close(self) -> None:
        """Close the connections that are idle."""
        self._transport.close()


def _names(owner: UUID, claim: UUID | None) -> str:
    return f"X-Headrace-Owner: {owner}\r\n" + (f"X-Headrace-Claim: {claim}\r\n" if claim is not None else "")


def _ends_run(body: Any) -> bool:
    return isinstance(body, SetState) and body.state.is_final()


def _is_hopeless(error: OSError) -> bool:
    return type(error).__name__ == "SSLCertVerificationError"  # `ssl` is imported only where it is used


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _head(settings: Settings, headers: Mapping[str, str]) -> str:
    """Return the header lines that every request carries."""
    import headrace

    lines = {"User-Agent": f"headrace/{headrace.__version__}", "Accept": "application/json"}
    secret: Callable[[Any], str | None] = lambda one: None if one is None else one.get_secret_value()
    if auth := secret(settings.api.auth_string):
        lines["Authorization"] = f"Basic {b64encode(auth.encode()).decode()}"
    elif key := secret(settings.api.key):
        lines["Authorization"] = f"Bearer {key}"
    for name, value in headers.items():
        if name.lower() in _OWN_HEADERS:
            _logger.warning("The header %s is set by headrace itself, so the one in HEADRACE_CLIENT_CUSTOM_HEADERS is not sent.", name)
        elif any(mark in name + value for mark in "\r\n"):
            _logger.warning("The header %s in HEADRACE_CLIENT_CUSTOM_HEADERS holds a line break, so it is not sent.", name)
        else:
            lines[name] = value
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items())
