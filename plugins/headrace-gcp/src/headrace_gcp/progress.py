"""Tell of what takes long while it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

FIRST_SECONDS, NEXT_SECONDS = 5.0, 10.0


@contextmanager
def telling(tell: Callable[[float], None], first: float = FIRST_SECONDS, each: float = NEXT_SECONDS) -> Generator[None]:
    """Call `tell` with the seconds that have passed while the block runs: for the first time after `first`, then once in `each`."""
    is_over, began = threading.Event(), time.monotonic()

    def work() -> None:
        pause = first
        while not is_over.wait(pause):
            tell(time.monotonic() - began)
            pause = each

    teller = threading.Thread(target=work, name="headrace-gcp-telling", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()


def mebibytes(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / 2**20:,.0f} MiB"
