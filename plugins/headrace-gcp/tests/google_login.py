"""What answers where service accounts log in (RFC 7523, as Google has it): tokens for assertions that the account's key has signed.

Tokens of others are exchanged too (RFC 8693), as workload identity federation does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .http_server import served

ACCOUNT = "flows@project-one.iam.gserviceaccount.com"
PROJECT = "project-one"
TOKEN = "ya29.token-of-the-tests"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class GoogleLogin:
    """Where tokens are had, and how often one was asked for."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)


def service_account_info(login: GoogleLogin, key: Any = KEY) -> dict[str, Any]:
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "key-one",
        "private_key": plain.decode(),
        "client_email": ACCOUNT,
        "client_id": "42",
        "token_uri": f"{login.url}/token",
    }


@contextmanager
def google_login() -> Iterator[GoogleLogin]:
    login = GoogleLogin("")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if "subject_token" in asked:
                login.asked.append({name: values[0] for name, values in asked.items()})
                kind = asked["requested_token_type"][0]
                self.answer(200, {"access_token": TOKEN, "issued_token_type": kind, "token_type": "Bearer", "expires_in": 3600})
                return
            claims = verified(asked["assertion"][0])
            login.asked.append(claims or {})
            if claims is None:
                self.answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
            else:
                self.answer(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

        def answer(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with served(Handler) as login.url:
        yield login


def verified(assertion: str) -> dict[str, Any] | None:
    """Return what an assertion claims, if the account's key has signed it."""
    signed, _, signature = assertion.rpartition(".")
    try:
        KEY.public_key().verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return None
    claims = json.loads(_bytes(signed.split(".")[1]))
    return claims if claims["iss"] == ACCOUNT else None


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
