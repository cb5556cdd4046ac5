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

CREATE_LIMIT: Endpoint[ConcurrencyLimitV2] = Endpoint("POST", f"{_V2}/", "concurrency", ConcurrencyLimitV2Create, ConcurrencyLimitV2, 201)
READ_LIMIT: Endpoint[GlobalConcurrencyLimitResponse] = Endpoint("GET", f"{_V2}/{{id_or_name}}", "concurrency", returns=GlobalConcurrencyLimitResponse)
UPDATE_LIMIT: Endpoint[None] = Endpoint("PATCH", f"{_V2}/{{id_or_name}}", "concurrency", ConcurrencyLimitV2Update, status=204)
DELETE_LIMIT: Endpoint[None] = Endpoint("DELETE", f"{_V2}/{{id_or_name}}", "concurrency", status=204)
FILTER_LIMITS: Endpoint[list[GlobalConcurrencyLimitResponse]] = Endpoint(
    "POST", f"{_V2}/filter", "concurrency", FilterConcurrencyLimits, list[GlobalConcurrencyLimitResponse]
)
INCREMENT_SLOTS: Endpoint[_Limits] = Endpoint("POST", f"{_V2}/increment", "concurrency", IncrementSlots, _Limits)
DECREMENT_SLOTS: Endpoint[_Limits] = Endpoint("POST", f"{_V2}/decrement", "concurrency", DecrementSlots, _Limits)
INCREMENT_SLOTS_WITH_LEASE: Endpoint[ConcurrencyLimitWithLeaseResponse] = Endpoint(
    "POST", f"{_V2}/increment-with-lease", "concurrency", IncrementSlotsWithLease, ConcurrencyLimitWithLeaseResponse
)
DECREMENT_SLOTS_WITH_LEASE: Endpoint[None] = Endpoint("POST", f"{_V2}/decrement-with-lease", "concurrency", ReleaseLease, status=204)
RENEW_LEASE: Endpoint[None] = Endpoint("POST", f"{_V2}/leases/{{lease_id}}/renew", "concurrency", RenewLease, status=204)

CREATE_TAG_LIMIT: Endpoint[ConcurrencyLimit] = Endpoint("POST", f"{_V1}/", "tag_limits", ConcurrencyLimitCreate, ConcurrencyLimit, 201)
READ_TAG_LIMIT: Endpoint[ConcurrencyLimit] = Endpoint("GET", f"{_V1}/{{id}}", "tag_limits", returns=ConcurrencyLimit)
DELETE_TAG_LIMIT: Endpoint[None] = Endpoint("DELETE", f"{_V1}/{{id}}", "tag_limits")
READ_TAG_LIMIT_BY_TAG: Endpoint[ConcurrencyLimit] = Endpoint("GET", f"{_V1}/tag/{{tag}}", "tag_limits", returns=ConcurrencyLimit)
DELETE_TAG_LIMIT_BY_TAG: Endpoint[None] = Endpoint("DELETE", f"{_V1}/tag/{{tag}}", "tag_limits")
FILTER_TAG_LIMITS: Endpoint[list[ConcurrencyLimit]] = Endpoint("POST", f"{_V1}/filter", "tag_limits", FilterConcurrencyLimits, list[ConcurrencyLimit])
RESET_TAG_LIMIT: Endpoint[None] = Endpoint("POST", f"{_V1}/tag/{{tag}}/reset", "tag_limits", ResetTagLimit)
INCREMENT_TAG_SLOTS: Endpoint[_Limits] = Endpoint("POST", f"{_V1}/increment", "tag_limits", TagSlots, _Limits)
DECREMENT_TAG_SLOTS: Endpoint[_Limits] = Endpoint("POST", f"{_V1}/decrement", "tag_limits", TagSlots, _Limits)
