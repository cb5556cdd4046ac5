"""What SIGTERM means to a flow run: an exception in the main thread, so that the run can be recorded as Crashed before the process dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from headrace.model.errors import TerminationSignal

_received: int | None = None


def was_terminated() -> bool:
    """Say whether this process was told to terminate and a flow run is ending for that."""
    return _received is not None


def _forget() -> None:
    global _received
    _received = None


@contextmanager
def termination_raises(outermost: bool) -> Generator[None, None, None]:
    """Raise `TerminationSignal` in the block when the process is told to terminate, and let it die of the signal afterwards.

    In an async run the exception may end the event loop instead, which then cancels the run: `was_terminated` tells such a cancellation from others.

    Does nothing outside the main thread, inside another flow run, or when the program handles the signal itself.
    """
    if not outermost or threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        global _received
        _received = number
        raise TerminationSignal(number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        with _loop_wakes():
            yield
    except BaseException:
        if _received is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), _received)
        raise
    finally:
        _forget()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _loop_wakes() -> Generator[None, None, None]:
    """Have signals wake the event loop, if one runs here: one that came just before the loop began to wait was heard of at the wait's end."""
    asyncio = sys.modules.get("asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    if loop is None:
        yield
        return
    import socket

    heard, told = socket.socketpair()
    for end in (heard, told):
        end.setblocking(False)
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)  # somebody has seen to it
    loop.add_reader(heard, heard.recv, 4096)
    try:
        yield
    finally:
        now = signal.set_wakeup_fd(before)
        if now != told.fileno():
            signal.set_wakeup_fd(now)  # somebody sees to it from now on
        loop.remove_reader(heard)
        heard.close()
        told.close()
