"""How clients send requests: over connections for many threads, each with time limits, and with no signature of a SAS in their errors."""

from __future__ import annotations

from typing import Any

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter

from headrace_azure.errors import without_signatures

POOL_SIZE = 64
"""Connections that one client keeps open."""


class Transport(RequestsTransport):
    """Sends requests. Errors of connections quote the whole address, and a SAS is part of that: its signature is taken out here, where they arise."""

    def __init__(self, **limits: Any) -> None:
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0))
        super().__init__(session=session, **limits)

    def send(self, request: Any, **kwargs: Any) -> Any:
        """See `RequestsTransport.send`."""
        try:
            return super().send(request, **kwargs)
        except AzureError as error:
            error.message = without_signatures(str(error.message))
            error.args = (error.message,)
            error.inner_exception = None  # it quotes the address too
            raise
