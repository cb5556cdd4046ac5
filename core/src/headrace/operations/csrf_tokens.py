"""Tokens against forged requests: one for each client, good for a while."""

from __future__ import annotations

import hmac
import secrets

from headrace.model import clock, ids
from headrace.model.csrf_tokens import CsrfToken
from headrace.model.endpoints import csrf_tokens as endpoints
from headrace.model.errors import InvalidRequest
from headrace.operations.table import Operation
from headrace.settings import get_current_settings
from headrace.store.codec import microseconds
from headrace.store.database import Database, Transaction

TOKEN_BYTES = 32
CLIENT_LENGTH_MAX = 255

Token = tuple[str, str]
"""A client and the token that it sent."""


def create_csrf_token(tx: Transaction, *, client: str) -> CsrfToken:
    """Give a client a new token, in place of the one it had. Raises `InvalidRequest` while the server asks for no tokens."""
    api = get_current_settings().server.api
    if not api.csrf_protection_enabled:
        raise InvalidRequest("CSRF protection is disabled.")
    if len(client) > CLIENT_LENGTH_MAX:
        raise InvalidRequest(f"The name of a client has at most {CLIENT_LENGTH_MAX} characters; this one has {len(client)}.")
    now = clock.now()
    made = CsrfToken(
        id=ids.new(), created=now, updated=now, client=client, token=secrets.token_hex(TOKEN_BYTES), expiration=now + api.csrf_token_expiration
    )
    tx.sql_count("DELETE FROM csrf_token WHERE expiration < ? OR client = ?", (microseconds(now), client))
    tx.sql_count(
        "INSERT INTO csrf_token (id, created, updated, client, token, expiration) VALUES (?, ?, ?, ?, ?, ?)",
        (made.id.bytes, microseconds(now), microseconds(now), client, made.token, microseconds(made.expiration)),
    )
    return made


def check(database: Database, sent: Token) -> None:
    """Raise `InvalidRequest` unless this client was given this token, and it is still good."""
    with database.read() as tx:
        row = tx.sql_one("SELECT token FROM csrf_token WHERE client = ? AND expiration > ?", (sent[0], clock.now_us()))
    if row is None or not hmac.compare_digest(row[0].encode(), sent[1].encode()):
        raise InvalidRequest("Invalid CSRF token or client identifier.", status=403)


OPERATIONS = {endpoints.CREATE_CSRF_TOKEN: Operation(create_csrf_token, writes=True)}
