"""Fixtures of the objects' tests."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from headrace.client.spool import close_process_spool


@pytest.fixture(autouse=True)
def own_spool(home: Path) -> Generator[None, None, None]:
    """Give the test an outbox in its own home, and deliver and remove it afterwards."""
    close_process_spool()
    yield
    close_process_spool()
