"""What the services' tests stand on: a database of each kind, and time in the test's hand."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from headrace.settings import get_current_settings
from headrace.store.database import Database
from headrace.testing.clock import ControlledClock
from headrace.testing.fixtures import controlled_clock, headrace_caplog
from server.services.world import World

__all__ = ["controlled_clock", "headrace_caplog"]


@pytest.fixture
def world(database: str, controlled_clock: ControlledClock) -> Generator[World, None, None]:
    store = Database(get_current_settings().server.database.connection_url.get_secret_value())
    yield World(store, controlled_clock)
    store.close()
