"""Servers for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from headrace.testing.server import server

__all__ = ["http", "server"]


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    """Send requests to the server, paths below `/api`."""
    with httpx.Client(base_url=server, timeout=30) as client:
        yield client
