"""What SIGTERM means to a flow run: an exception in the main thread, so that the run can be recorded as Crashed before the process dies."""

from __future__ import annotations

import os
import signal
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
        yield
    except BaseException:
        if _received is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), _received)
        raise
    finally:
        _forget()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
