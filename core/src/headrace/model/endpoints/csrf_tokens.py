"""The route that gives out tokens against forged requests."""

from __future__ import annotations

from headrace.model.csrf_tokens import CsrfToken
from headrace.model.endpoints.base import Endpoint

CREATE_CSRF_TOKEN: Endpoint[CsrfToken] = Endpoint("GET", "/csrf-token", "csrf_tokens", returns=CsrfToken, query=(("client", str),))
