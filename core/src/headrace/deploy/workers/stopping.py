"""The end of a process that starts runs. SIGTERM and SIGINT: the first asks it to take no more, the second stops those that it has."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from headrace.client.patience import patience
from headrace.client.spool import close_process_spool

LAST_WORDS_SECONDS_MAX = 10.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def deliver_last_words() -> None:
    """Deliver what this process still has to tell the server; what that does not take within 10 seconds waits in a file for the next process."""
    with patience(LAST_WORDS_SECONDS_MAX):
        close_process_spool()


@contextmanager
def stop_on_signals(ask: Callable[[], None], force: Callable[[], Awaitable[Any]], is_main: bool) -> Generator[None]:
    """Call `ask` in the running event loop at the first signal, and `force` at the next. Without `is_main` (thread) signals are left alone."""
    if not is_main:
        yield
        return
    loop = asyncio.get_running_loop()
    asked = False
    forcing: list[asyncio.Future[Any]] = []

    def hear() -> None:
        nonlocal asked
        if not asked:
            asked = True
            ask()
        elif not forcing:
            forcing.append(asyncio.ensure_future(force()))

    def hear_later(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(hear)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, hear)
        except NotImplementedError:  # Windows' event loops: the handler runs between two steps of the interpreter instead
            signal.signal(number, hear_later)
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)
