"""Who calls, read from a request's headers."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from uuid import UUID

from headrace.model.caller import Caller
from headrace.model.errors import InvalidRequest

API_VERSION = "0.8.4"
API_VERSION_MIN = (0, 8, 0)
CALLERS_REMEMBERED_MAX = 256

_TRUE = (b"true", b"1", b"on", b"yes", b"t", b"y")
_CLIENT = re.compile(r"prefect/(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)


def caller_of(headers: dict[bytes, bytes], scheme: str = "http", base_path: str = "") -> Caller:
    """Return who sent these headers to the API at `base_path`. Raises `InvalidRequest` for an API version that is malformed or too old."""
    host = headers.get(b"host")
    return _caller(
        headers.get(b"x-prefect-api-version"),
        headers.get(b"user-agent"),
        headers.get(b"prefect-automation-id"),
        headers.get(b"prefect-automation-name"),
        headers.get(b"x-prefect-ui"),
        None if host is None else f"{scheme}://{host.decode('latin-1')}{base_path}",
    )


@lru_cache(CALLERS_REMEMBERED_MAX)
def _caller(
    version: bytes | None,
    agent: bytes | None,
    automation_id: bytes | None,
    automation_name: bytes | None,
    page: bytes | None,
    base_url: str | None,
) -> Caller:
    client = _CLIENT.match(agent.decode("latin-1")) if agent else None
    return Caller(
        is_server=True,
        api_version=None if version is None else _api_version(version.decode("latin-1")),
        client_version=None if client is None else _numbers(client),
        created_by=_automation(automation_id, automation_name),
        is_page=page is not None and page.lower() in _TRUE,
        base_url=base_url,
    )


def _api_version(text: str) -> tuple[int, int, int]:
    matched = _VERSION.fullmatch(text)
    if matched is None:
        raise InvalidRequest(f"Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received {text}", status=400)
    if _numbers(matched) < API_VERSION_MIN:
        least = ".".join(map(str, API_VERSION_MIN))
        raise InvalidRequest(f"The request specified API version {text} but this server requires version {least} or higher.", status=400)
    return _numbers(matched)


def _numbers(matched: re.Match[str]) -> tuple[int, int, int]:
    return int(matched[1]), int(matched[2]), int(matched[3])


def _automation(id: bytes | None, name: bytes | None) -> dict[str, str] | None:
    if id is None or name is None:
        return None
    try:
        shown = base64.b64decode(name, validate=True).decode()
        return {"id": str(UUID(id.decode("ascii"))), "type": "AUTOMATION", "display_value": shown}
    except (ValueError, binascii.Error):
        return None
