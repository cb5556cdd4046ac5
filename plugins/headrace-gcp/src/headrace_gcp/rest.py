"""Google's REST interfaces by their discovery documents, with limits, and what their errors mean."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.exceptions import InfrastructureError, InfrastructureNotAvailable
from headrace.workers.remote import Failure
from headrace_gcp.settings import GcpSettings

if TYPE_CHECKING:
    from headrace_gcp.credentials import GcpCredentials

R = TypeVar("R")

_SERVICE_FAILED = (500, 502, 503, 504)


def service(credentials: GcpCredentials, name: str, version: str, address: str, *path: str) -> Any:
    """Return googleapiclient's `Resource` of an interface at an address, with what is below `path` alone: making the others takes long.

    Several threads may use it: each request has its own connection.
    """
    import httplib2
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient.discovery import build_from_document
    from googleapiclient.http import HttpRequest

    login = credentials.get_credentials_from_service_account()
    seconds = GcpSettings().request_timeout_seconds

    def connection() -> Any:
        return AuthorizedHttp(login, http=httplib2.Http(timeout=seconds))

    def build_request(http: Any, *args: Any, **kwargs: Any) -> Any:
        return HttpRequest(connection(), *args, **kwargs)

    maker: Any = build_request  # any callable will do, though a class is declared
    options = {"api_endpoint": f"{address}/"}
    return build_from_document(_document(name, version, path), http=connection(), requestBuilder=maker, client_options=options)


@lru_cache(maxsize=8)
def _document(name: str, version: str, path: tuple[str, ...]) -> dict[str, Any]:
    """Return the discovery document that googleapiclient ships, without the resources beside `path`."""
    from googleapiclient.discovery_cache import get_static_doc

    text = get_static_doc(name, version)
    if text is None:
        raise ImportError(f"google-api-python-client knows no {name} {version}. Upgrade it: pip install -U google-api-python-client")
    document = json.loads(text)
    document["resources"] = _only(document["resources"], path)
    return document


def _only(resources: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    first, *rest = path
    return {first: {"resources": _only(resources[first]["resources"], tuple(rest))} if rest else resources[first]}


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that is an error; None for other errors."""
    found = getattr(getattr(error, "resp", None), "status", None)
    return int(found) if found is not None else None


def failure_of(error: Exception) -> Failure:
    """Say what an error of a request means."""
    from google.auth.exceptions import TransportError
    from httplib2.error import HttpLib2Error, ServerNotFoundError

    status = status_of(error)
    if status is not None:
        return Failure.BUSY if status == 429 else Failure.UNKNOWN if status in (408, *_SERVICE_FAILED) else Failure.FINAL
    if isinstance(error, InfrastructureNotAvailable | TransportError | ServerNotFoundError | ConnectionRefusedError):
        return Failure.BUSY  # it never got there
    if isinstance(error, ConnectionError | TimeoutError | HttpLib2Error | http.client.HTTPException | ssl.SSLError):
        return Failure.UNKNOWN
    return Failure.FINAL


def insist(what: Callable[[], R], attempts: int, first_seconds: float, seconds_max: float) -> R:
    """Ask until there is an answer, `attempts` times at most, with pauses that double. For what does no harm when it is done twice."""
    for attempt in range(1, attempts + 1):
        try:
            return what()
        except Exception as error:
            if attempt == attempts or failure_of(error) is Failure.FINAL:
                raise
        pause(min(first_seconds * 2 ** (attempt - 1), seconds_max))
    raise AssertionError("the last try returns or raises")


def pause(seconds: float) -> None:
    """Wait in this thread."""
    threading.Event().wait(seconds)


def told(error: Exception) -> str:
    """Return what Google says in an answer that is an error."""
    return str(getattr(error, "reason", None) or error).strip()


def explained(error: Exception, what: str, account: str, place: str, roles: str) -> Exception:
    """Return an error that says what to do, or the same error where there is nothing to add. `place`: project and region, for messages."""
    status = status_of(error)
    if status == 403:
        return InfrastructureError(f"{account} may not {what} in {place} ({told(error)}). Give it {roles}.")
    if status == 404:
        return InfrastructureError(f"Could not {what} in {place} ({told(error)}). Check the project, the region, and that the API is enabled.")
    if status == 401:
        return InfrastructureError(f"Google Cloud does not take the credentials ({told(error)}). Check the GcpCredentials block of the work pool.")
    if status is not None and failure_of(error) is Failure.FINAL:
        return InfrastructureError(f"Could not {what} in {place}: {told(error)}")
    return error
