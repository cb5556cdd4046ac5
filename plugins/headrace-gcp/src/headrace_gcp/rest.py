"""Google's REST interfaces by their discovery documents, with limits, and what their errors mean."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.exceptions import InfrastructureError, InfrastructureNotAvailable
from headrace.workers.remote import Failure
from headrace_gcp.credentials import no_token
from headrace_gcp.sessions import LimitedSession
from headrace_gcp.settings import GcpSettings

if TYPE_CHECKING:
    from headrace_gcp.credentials import GcpCredentials

R = TypeVar("R")

_SERVICE_FAILED = (500, 502, 503, 504)


def service(credentials: GcpCredentials, name: str, version: str, address: str, *path: str) -> Any:
    """Return googleapiclient's `Resource` of an interface at an address, with what is below `path` alone: making the others takes long."""
    from googleapiclient.discovery import build_from_document

    connection = _Connection(LimitedSession(credentials.get_credentials_from_service_account(), GcpSettings().request_timeout_seconds))
    return build_from_document(_document(name, version, path), http=connection, client_options={"api_endpoint": f"{address}/"})


class _Connection:
    """What googleapiclient sends requests by: each once. (httplib2 sends one again by itself when no answer comes: a job would run twice.)"""

    def __init__(self, session: LimitedSession) -> None:
        self._session = session

    def request(self, uri: str, method: str = "GET", body: Any = None, headers: Any = None, **kwargs: Any) -> tuple[Any, bytes]:
        from httplib2 import Response

        answer = self._session.request(method, uri, data=body, headers=headers)
        told = Response({**{name.lower(): value for name, value in answer.headers.items()}, "status": str(answer.status_code)})
        told.reason = answer.reason
        return told, answer.content

    def close(self) -> None:
        self._session.close()


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
    from requests import exceptions as requests

    status = status_of(error)
    if status is not None:
        return Failure.BUSY if status == 429 else Failure.UNKNOWN if status in (408, *_SERVICE_FAILED) else Failure.FINAL
    if isinstance(error, requests.SSLError):
        return Failure.FINAL
    if isinstance(error, InfrastructureNotAvailable | TransportError | ConnectionRefusedError | requests.ConnectTimeout) or _was_never_sent(error):
        return Failure.BUSY
    if isinstance(error, ConnectionError | TimeoutError | requests.ConnectionError | requests.Timeout | requests.ChunkedEncodingError):
        return Failure.UNKNOWN
    return Failure.FINAL


def _was_never_sent(error: Exception) -> bool:
    """Say whether no connection came about: a name that cannot be resolved, a port on which nothing listens."""
    from urllib3.exceptions import NewConnectionError

    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)


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
    from google.auth.exceptions import RefreshError

    status = status_of(error)
    if isinstance(error, RefreshError):
        return InfrastructureError(no_token(error))
    if _was_never_sent(error):
        return InfrastructureNotAvailable(f"Google Cloud is not to be reached to {what} in {place}: {error}. Check the region, and the network.")
    if status == 403:
        return InfrastructureError(f"{account} may not {what} in {place} ({told(error)}). Give it {roles}.")
    if status == 404:
        return InfrastructureError(f"Could not {what} in {place} ({told(error)}). Check the project, the region, and that the API is enabled.")
    if status == 401:
        return InfrastructureError(f"Google Cloud does not take the credentials ({told(error)}). Check the GcpCredentials block of the work pool.")
    if status is not None and failure_of(error) is Failure.FINAL:
        return InfrastructureError(f"Could not {what} in {place}: {told(error)}")
    return error
