"""Slots of concurrency limits for blocking code."""

from headrace.model.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from headrace.objects.slots import concurrency, rate_limit

__all__ = ["AcquireConcurrencySlotTimeoutError", "ConcurrencySlotAcquisitionError", "concurrency", "rate_limit"]
