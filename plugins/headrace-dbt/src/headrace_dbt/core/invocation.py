"""One invocation of dbt in this process at a time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace_dbt.sdk import dbtRunner, dbtRunnerResult

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

Callback = Callable[["EventMsg"], None]

_MISSING_ADAPTER = re.compile(r"Could not find adapter type (\w+)")

_one_at_a_time = threading.RLock()  # dbt keeps what it knows of an invocation in the process


@contextmanager
def turn(logger: Any) -> Generator[None, None, None]:
    """Wait until no other thread of this process runs dbt, and say so in the log when that takes time."""
    if not _one_at_a_time.acquire(blocking=False):
        logger.info("Another dbt command runs in this process, which can run one at a time; this one waits for its end.")
        _one_at_a_time.acquire()
    try:
        yield
    finally:
        _one_at_a_time.release()


def invoke(args: Sequence[str], callbacks: Sequence[Callback] = (), manifest: Manifest | None = None) -> dbtRunnerResult:
    """Run dbt's command line with these words, and return its result; errors are in it.

    What stops the run, as an interrupt or a time limit, is raised: dbt would take it for an error of its own.
    """
    result = dbtRunner(manifest=manifest, callbacks=list(callbacks)).invoke(list(args))
    stop = _stop_in(result.exception)
    if stop is not None:
        raise stop
    return result


def _stop_in(error: BaseException | None) -> BaseException | None:
    """Return what stopped the run among an error and its causes: libraries of dbt catch everything, and raise errors of their own."""
    while isinstance(error, Exception | GeneratorExit):
        error = error.__cause__ or error.__context__
    return error


def told(error: BaseException) -> str:
    """Return what dbt says went wrong and, for an adapter that is not installed, what to do."""
    text = str(error).strip() or type(error).__name__
    missing = _MISSING_ADAPTER.search(text)
    return f"{text} Install its adapter beside headrace-dbt: pip install dbt-{missing[1]}" if missing else text
