"""What answers where service principals and managed identities log in, as Microsoft Entra ID does, over TLS; tokens are signed with nobody's key."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .certificates import Certificates
from .serving import Handler, serving

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "very~private.secret"


@dataclass
class Entra:
    """Where tokens are had, and which were asked for: the resources that they are good for."""

    url: str
    asked: list[str] = field(default_factory=list)

    @property
    def principal(self) -> dict[str, str]:
        """The fields of a service principal that is let in."""
        return {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}


def token_for(audience: str, seconds: int = 3600) -> str:
    """Return a token as Azurite and our fakes take it."""
    now = int(time.time())
    claims = {
        "iss": f"https://sts.windows.net/{TENANT}/",
        "aud": audience,
        "iat": now,
        "nbf": now,
        "exp": now + seconds,
        "oid": CLIENT,
        "tid": TENANT,
    }
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".c2lnbmF0dXJl"


@contextmanager
def entra(tls: Certificates | None) -> Iterator[Entra]:
    """Run it: with certificates as Entra ID, without as the metadata service of a machine with a managed identity."""
    found = Entra("")

    class Tokens(Handler):
        def respond(self, content: bytes) -> None:
            if self.command == "POST":
                self.answer(*self._for_principal({name: values[0] for name, values in parse_qs(content.decode()).items()}))
                return
            parts = urlsplit(self.path)
            if parts.path.endswith("/openid-configuration"):
                base = f"{found.url}/{TENANT}"
                self.answer(200, {
                    "issuer": f"{base}/v2.0",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                })  # fmt: skip
            elif parts.path == "/metadata/identity/oauth2/token" and self.headers.get("Metadata") == "true":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                found.asked.append(f"{asked['resource']} {asked.get('client_id', '')}".strip())
                token = token_for(asked["resource"])
                self.answer(200, {"access_token": token, "expires_in": "86399", "resource": asked["resource"], "token_type": "Bearer"})
            else:
                self.answer(400, {"error": "invalid_request", "error_description": "Required metadata header not specified"})

        def _for_principal(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
            if asked.get("client_secret") != SECRET:
                text = f"AADSTS7000215: Invalid client secret provided for app '{CLIENT}'."
                return 401, {"error": "invalid_client", "error_description": text, "error_codes": [7000215]}
            audience = asked["scope"].split()[0].removesuffix("/.default")
            found.asked.append(audience)
            return 200, {"access_token": token_for(audience), "expires_in": 3600, "token_type": "Bearer"}

    with serving(Tokens, tls) as found.url:
        yield found
