"""Routes of concurrency limits: those with names (v2) and those of tags (v1, a face of the same limits)."""

from __future__ import annotations

from headrace.model.concurrency import (
    ConcurrencyLimit,
    ConcurrencyLimitCreate,
    ConcurrencyLimitV2,
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
    ConcurrencyLimitWithLeaseResponse,
    DecrementSlots,
    FilterConcurrencyLimits,
    GlobalConcurrencyLimitResponse,
    IncrementSlots,
    IncrementSlotsWithLease,
    MinimalConcurrencyLimitResponse,
    ReleaseLease,
    RenewLease,
    ResetTagLimit,
    TagSlots,
)
from headrace.model.endpoints.base import Endpoint

_V2 = "/v2/concurrency_limits"
_V1 = "/concurrency_limits"
_Limits = list[MinimalConcurrencyLimitResponse]

CREATE_LIMIT = Endpoint[ConcurrencyLimitV2]("POST", f"{_V2}/", "concurrency", ConcurrencyLimitV2Create, ConcurrencyLimitV2, 201)
READ_LIMIT = Endpoint[GlobalConcurrencyLimitResponse]("GET", f"{_V2}/{{id_or_name}}", "concurrency", returns=GlobalConcurrencyLimitResponse)
UPDATE_LIMIT = Endpoint[None]("PATCH", f"{_V2}/{{id_or_name}}", "concurrency", ConcurrencyLimitV2Update, status=204)
DELETE_LIMIT = Endpoint[None]("DELETE", f"{_V2}/{{id_or_name}}", "concurrency", status=204)
FILTER_LIMITS = Endpoint[list[GlobalConcurrencyLimitResponse]](
    "POST", f"{_V2}/filter", "concurrency", FilterConcurrencyLimits, list[GlobalConcurrencyLimitResponse]
)
INCREMENT_SLOTS = Endpoint[_Limits]("POST", f"{_V2}/increment", "concurrency", IncrementSlots, _Limits)
DECREMENT_SLOTS = Endpoint[_Limits]("POST", f"{_V2}/decrement", "concurrency", DecrementSlots, _Limits)
INCREMENT_SLOTS_WITH_LEASE = Endpoint[ConcurrencyLimitWithLeaseResponse](
    "POST", f"{_V2}/increment-with-lease", "concurrency", IncrementSlotsWithLease, ConcurrencyLimitWithLeaseResponse
)
DECREMENT_SLOTS_WITH_LEASE = Endpoint[None]("POST", f"{_V2}/decrement-with-lease", "concurrency", ReleaseLease, status=204)
RENEW_LEASE = Endpoint[None]("POST", f"{_V2}/leases/{{lease_id}}/renew", "concurrency", RenewLease, status=204)

CREATE_TAG_LIMIT = Endpoint[ConcurrencyLimit]("POST", f"{_V1}/", "concurrency", ConcurrencyLimitCreate, ConcurrencyLimit)
READ_TAG_LIMIT = Endpoint[ConcurrencyLimit]("GET", f"{_V1}/{{id}}", "concurrency", returns=ConcurrencyLimit)
DELETE_TAG_LIMIT = Endpoint[None]("DELETE", f"{_V1}/{{id}}", "concurrency")
READ_TAG_LIMIT_BY_TAG = Endpoint[ConcurrencyLimit]("GET", f"{_V1}/tag/{{tag}}", "concurrency", returns=ConcurrencyLimit)
DELETE_TAG_LIMIT_BY_TAG = Endpoint[None]("DELETE", f"{_V1}/tag/{{tag}}", "concurrency")
FILTER_TAG_LIMITS = Endpoint[list[ConcurrencyLimit]](
    "POST", f"{_V1}/filter", "concurrency", FilterConcurrencyLimits, list[ConcurrencyLimit]
)
RESET_TAG_LIMIT = Endpoint[None]("POST", f"{_V1}/tag/{{tag}}/reset", "concurrency", ResetTagLimit)
INCREMENT_TAG_SLOTS = Endpoint[_Limits]("POST", f"{_V1}/increment", "concurrency", TagSlots, _Limits)
DECREMENT_TAG_SLOTS = Endpoint[_Limits]("POST", f"{_V1}/decrement", "concurrency", TagSlots, _Limits)
