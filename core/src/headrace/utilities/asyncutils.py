"""Front desk: how code that is written once serves blocking and async callers, and small helpers for async code."""

from headrace.client.async_tools import LazySemaphore, gather, is_async_fn, is_async_gen_fn, run_sync_in_worker_thread
from headrace.client.bridge import asleep, blocking, in_blocking_run
from headrace.client.bridge import run_awaitable as run_coro_as_sync
from headrace.objects.offload import offload, twins

__all__ = [
    "LazySemaphore",
    "asleep",
    "blocking",
    "gather",
    "in_blocking_run",
    "is_async_fn",
    "is_async_gen_fn",
    "offload",
    "run_coro_as_sync",
    "run_sync_in_worker_thread",
    "twins",
]
