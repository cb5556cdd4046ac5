"""Requests to Google that end: an authorized session with a limit for every request that names none, and for those that log in."""

from __future__ import annotations

from typing import Any

from google.auth.transport.requests import AuthorizedSession, Request
from requests.adapters import HTTPAdapter

CONNECTIONS_MAX = 64
"""Connections to one host that are kept for the next request."""


class LimitedRequest(Request):
    """What credentials ask for tokens by; each request takes `seconds` at most, from byte to byte."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `Request.__call__`."""
        return super().__call__(*args, **{"timeout": self._seconds, **kwargs})


class LimitedSession(AuthorizedSession):
    """An authorized session whose requests take `seconds` at most, from byte to byte, unless they say otherwise."""

    def __init__(self, credentials: Any, seconds: float) -> None:
        super().__init__(credentials, auth_request=LimitedRequest(seconds))
        self._seconds = seconds
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS_MAX))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        """See `requests.Session.request`."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._seconds
        return super().request(method, url, *args, **kwargs)
