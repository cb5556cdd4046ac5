"""Front desk: futures."""

from headrace.engine.futures import (
    DoneAndNotDoneFutures,
    HeadraceConcurrentFuture,
    HeadraceFuture,
    HeadraceFutureList,
    as_completed,
    resolve_futures_to_results,
    resolve_futures_to_states,
    wait,
)

__all__ = [
    "DoneAndNotDoneFutures",
    "HeadraceConcurrentFuture",
    "HeadraceFuture",
    "HeadraceFutureList",
    "as_completed",
    "resolve_futures_to_results",
    "resolve_futures_to_states",
    "wait",
]
