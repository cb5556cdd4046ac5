"""`print` as a log line of the run that it is called in (`log_prints`). Outside such runs it prints."""

from __future__ import annotations

import builtins
import io
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from headrace.engine import context
from headrace.engine.log_loggers import get_run_logger

_print = builtins.print
_nothing = nullcontext()


def redirected(enabled: bool) -> AbstractContextManager[None]:
    """Make sure that `print` in a run with `log_prints` is an INFO line of its log.

    Whether a call is one is decided by the context it is made in: the innermost run's `log_prints`. So threads that belong to no run,
    and tasks with `log_prints=False`, print as ever. Costs nothing when not `enabled`.
    """
    if enabled:
        _install()
    return _nothing


def _install() -> None:
    """Put the dispatcher in the place of `print`. It stays: outside runs with `log_prints` it only calls `print`."""
    global _print
    if builtins.print is not print_as_log:
        _print = builtins.print
        builtins.print = print_as_log


def print_as_log(*args: Any, **kwargs: Any) -> None:
    """Log what `print` would write, if the innermost run here has `log_prints`; else print it.

    Text meant for a file other than `sys.stdout` and `sys.stderr` is always printed there.
    """
    here = context.current()
    run = here.task or here.flow
    if run is None or not run.log_prints or kwargs.get("file") not in (None, sys.stdout, sys.stderr):
        _print(*args, **kwargs)
        return
    text = io.StringIO()
    kwargs.update(file=text, flush=False)
    _print(*args, **kwargs)
    get_run_logger().info("%s", text.getvalue().removesuffix("\n"))


def patch_print() -> AbstractContextManager[None]:
    """Make `print` in this process `print_as_log`, as a context manager."""
    return redirected(True)
