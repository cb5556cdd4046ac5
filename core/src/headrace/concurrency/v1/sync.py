"""Slots of tags' limits for blocking code that names its task run."""

from headrace.model.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from headrace.objects.tag_slots import concurrency

__all__ = ["AcquireConcurrencySlotTimeoutError", "ConcurrencySlotAcquisitionError", "concurrency"]
