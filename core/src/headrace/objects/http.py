"""Sending one HTTP request for a block, blocking; httpx is imported when the first one is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.objects.urls import restricted_transport

if TYPE_CHECKING:
    from httpx import Response

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. At most one of `json`, `form` and `content` is given. Nothing of it is shown by `repr`."""

    method: str
    url: str = field(repr=False)
    json: Any = field(default=None, repr=False)
    form: dict[str, Any] | None = field(default=None, repr=False)
    content: str | None = field(default=None, repr=False)
    params: dict[str, Any] | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    cookies: dict[str, str] | None = field(default=None, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)


def send(request: Request, *, timeout_seconds: float = TIMEOUT_SECONDS, verify: bool = True, allow_private_urls: bool = True) -> Response:
    """Send a request and return the answer, read to its end.

    Raises httpx.HTTPError when there is no answer, and ValueError when the address is private and private ones are not allowed.
    Redirects are not followed.
    """
    import httpx

    transport = None if allow_private_urls else restricted_transport(verify)
    with httpx.Client(timeout=timeout_seconds, verify=verify, transport=transport, trust_env=allow_private_urls, cookies=request.cookies) as client:
        return client.request(
            request.method,
            request.url,
            json=request.json,
            data=request.form,
            content=request.content,
            params=request.params,
            headers=request.headers,
            auth=request.basic_auth,
        )
