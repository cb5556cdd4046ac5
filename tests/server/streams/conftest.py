"""Servers on free ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from headrace.server.serving import application_in_force, serving_in_thread
from headrace.settings import get_current_settings
from server.streams.wires import SECONDS, Api


@pytest.fixture
def serve() -> Iterator[Callable[[], Api]]:
    """Start a server of the settings in force; it ends with the test."""
    with ExitStack() as held:

        def start() -> Api:
            secret = get_current_settings().server.api.auth_string
            url = held.enter_context(serving_in_thread(application_in_force("web")))
            return Api(url, secret.get_secret_value() if secret else None)

        yield start


@pytest.fixture
def api(serve: Callable[[], Api]) -> Api:
    """A server."""
    return serve()


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a test's body in an event loop, no longer than it may take."""
    return lambda body: asyncio.run(asyncio.wait_for(body, 3 * SECONDS))
