"""Slots of concurrency limits for async code."""

from headrace.model.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from headrace.objects.slots import arate_limit as rate_limit
from headrace.objects.slots import concurrency_async as concurrency

__all__ = ["AcquireConcurrencySlotTimeoutError", "ConcurrencySlotAcquisitionError", "concurrency", "rate_limit"]
