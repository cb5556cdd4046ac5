"""Slots of tags' limits for async code that names its task run."""

from headrace.model.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from headrace.objects.tag_slots import concurrency_async as concurrency

__all__ = ["AcquireConcurrencySlotTimeoutError", "ConcurrencySlotAcquisitionError", "concurrency"]
