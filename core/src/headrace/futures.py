"""Front desk: futures."""

from headrace.deploy.background_futures import HeadraceDistributedFuture, HeadraceFlowRunFuture
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
from headrace.engine.futures import HeadraceFuture as HeadraceTaskRunFuture

__all__ = [
    "DoneAndNotDoneFutures",
    "HeadraceConcurrentFuture",
    "HeadraceDistributedFuture",
    "HeadraceFlowRunFuture",
    "HeadraceFuture",
    "HeadraceFutureList",
    "HeadraceTaskRunFuture",
    "as_completed",
    "resolve_futures_to_results",
    "resolve_futures_to_states",
    "wait",
]
