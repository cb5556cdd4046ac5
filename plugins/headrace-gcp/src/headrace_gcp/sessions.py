"""Requests to Google that end: an authorized session with a limit for every request that names none."""

from __future__ import annotations

from typing import Any

from google.auth.transport.requests import AuthorizedSession


class LimitedSession(AuthorizedSession):
    """An authorized session whose requests take `seconds` at most, from byte to byte, unless they say otherwise."""

    def __init__(self, credentials: Any, seconds: float) -> None:
        super().__init__(credentials)
        self._seconds = seconds

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        """See `requests.Session.request`."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._seconds
        return super().request(method, url, *args, **kwargs)
