"""`print` as a log line of the run that it is called in (`log_prints`). Outside such runs it prints."""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from headrace.engine import context
from headrace.engine.log_loggers import get_run_logger

_redirecting: ContextVar[bool] = ContextVar("headrace_redirect_prints", default=False)
_print = builtins.print
_nothing = nullcontext()


def redirected(enabled: bool) -> AbstractContextManager[None]:
    """Make `print` in this context an INFO log line of the innermost run, or with False an ordinary `print`, while the block runs."""
    if enabled == _redirecting.get():
        return _nothing
    return _redirect(enabled)


@contextmanager
def _redirect(enabled: bool) -> Generator[None, None, None]:
    if enabled:
        _install()
    token = _redirecting.set(enabled)
    try:
        yield
    finally:
        _redirecting.reset(token)


def _install() -> None:
    """Put the dispatcher in the place of `print`, once in a process. It stays: outside redirected runs it only calls `print`."""
    global _print
    if builtins.print is not _dispatch:
        _print = builtins.print
        builtins.print = _dispatch


def _dispatch(*args: Any, **kwargs: Any) -> None:
    if _redirecting.get():
        print_as_log(*args, **kwargs)
    else:
        _print(*args, **kwargs)


def print_as_log(*args: Any, **kwargs: Any) -> None:
    """Log what `print` would write, if the innermost run here has `log_prints`; else print it.

    Text meant for a file other than `sys.stdout` and `sys.stderr` is always printed there.
    """
    here = context.current()
    run = here.task or here.flow
    logged = run is not None and (run.log_prints or _redirecting.get())
    if not logged or kwargs.get("file") not in (None, sys.stdout, sys.stderr):
        _print(*args, **kwargs)
        return
    text = io.StringIO()
    kwargs.update(file=text, flush=False)
    _print(*args, **kwargs)
    get_run_logger().info("%s", text.getvalue().removesuffix("\n"))


@contextmanager
def patch_print() -> Generator[None, None, None]:
    """Make `print` in this context `print_as_log` while the block runs."""
    with redirected(True):
        yield
