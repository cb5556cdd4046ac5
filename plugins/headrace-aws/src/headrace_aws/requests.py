"""Requests that must not be made twice: repeated only when AWS has certainly not acted on them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from headrace_aws.errors import Sort, meaning_of

R = TypeVar("R")

TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
"""The pause before the second try; it doubles."""

ONCE: dict[str, Any] = {"retries": {"mode": "standard", "total_max_attempts": 1}}
"""Arguments of botocore's `Config` for clients whose requests are repeated by `once` alone: botocore would also repeat one whose answer was lost."""


def once(call: Callable[[], R]) -> R:
    """Make a request, and make it again only when AWS refused it as one too many, or was not reached at all. Raises what the SDK raises."""
    for attempt in range(1, TRIES + 1):
        try:
            return call()
        except Exception as error:
            meaning = meaning_of(error)
            was_not_done = meaning is not None and meaning.sort in (Sort.BUSY, Sort.UNREACHABLE) and not meaning.is_lost
            if not was_not_done or attempt == TRIES:
                raise
        threading.Event().wait(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1))
    raise AssertionError("the last try returns or raises")
