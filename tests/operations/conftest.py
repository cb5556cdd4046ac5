"""A way to perform operations as everyone does: through the client of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client


@pytest.fixture
def call(database: str) -> Callable[..., Any]:
    """Perform an endpoint on the test's own database, of each kind."""
    return lambda endpoint, body=None, **parameters: drive(current_client().call(endpoint, body, **parameters))
