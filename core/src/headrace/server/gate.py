"""Who may come in: the authentication of the whole application, and tokens against forged requests from browsers."""

from __future__ import annotations

import base64
import binascii
import hmac

from headrace.server.answers import UNAUTHORIZED, Answer, detail
from headrace.server.options import Options

OPEN_INSIDE = frozenset({"/health", "/ready"})
"""What load balancers ask, which send no credentials."""
OPEN_OUTSIDE = frozenset({"/", "/ui-settings"})
"""What a browser needs before it can ask for credentials. Neither tells anything that is kept here."""

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Gate:
    """Holds every request against `server.api.auth_string`; nothing below has to think of it."""

    def __init__(self, options: Options) -> None:
        self._expected = None if options.auth_string is None else options.auth_string.encode()
        self._csrf_enabled = options.csrf_enabled

    def refuse(self, method: str, path: str, headers: dict[bytes, bytes], *, is_inside: bool) -> Answer | None:
        """Return the answer to a request that may not come in. `path` is the one below the base path for what `is_inside` of it."""
        is_open = self._expected is None or (method == "GET" and path in (OPEN_INSIDE if is_inside else OPEN_OUTSIDE))
        if not is_open and not hmac.compare_digest(_credentials(headers.get(b"authorization")), self._expected or b""):
            return UNAUTHORIZED
        if self._csrf_enabled and is_inside and method in _CHANGING:
            if b"prefect-csrf-token" not in headers:
                return detail(403, "Missing CSRF token.")
            if b"prefect-csrf-client" not in headers:
                return detail(403, "Missing client identifier.")
        return None

    def token_to_check(self, method: str, headers: dict[bytes, bytes]) -> tuple[str, str] | None:
        """Return the client and its token where the database must be asked whether it is good."""
        if not self._csrf_enabled or method not in _CHANGING:
            return None
        return headers[b"prefect-csrf-client"].decode("latin-1"), headers[b"prefect-csrf-token"].decode("latin-1")


def _credentials(header: bytes | None) -> bytes:
    """Return the "user:password" of a Basic header; of any other header something that nobody's is."""
    if header is None or header[:6].lower() != b"basic ":
        return b""
    try:
        return base64.b64decode(header[6:], validate=True)
    except (ValueError, binascii.Error):
        return b""
