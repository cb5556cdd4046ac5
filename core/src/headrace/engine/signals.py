"""What SIGTERM means to a flow run: an exception in the main thread, so that the run can be recorded as Crashed before the process dies."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from headrace.model.errors import TerminationSignal


@contextmanager
def termination_raises(outermost: bool) -> Generator[None, None, None]:
    """Raise `TerminationSignal` in the block when the process is told to terminate, and let it die of the signal afterwards.

    Does nothing outside the main thread, inside another flow run, or when the program handles the signal itself.
    """
    if not outermost or threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise TerminationSignal(number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except TerminationSignal as caught:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), caught.signal)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
