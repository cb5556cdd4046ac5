"""Who calls an operation, as far as operations care."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of a call beside its parameters.

    `is_server`: the call came through a server, which records an event for each state of a task run too; an embedded process does not, since
    the state row says the same. `api_version` and `client_version` are what a foreign client stated, None when it stated nothing.
    `is_page`: a page asks what others would get, which must not look like a worker's poll.
    `created_by` goes into what the call creates (`id`, `type`, `display_value`). `base_url` is where the caller reached the API, for answers that
    name a further address.
    """

    is_server: bool = False
    api_version: tuple[int, int, int] | None = None
    client_version: tuple[int, int, int] | None = None
    created_by: dict[str, Any] | None = None
    is_page: bool = False
    base_url: str | None = None


EMBEDDED = Caller()
SERVICE = Caller(is_server=True)
