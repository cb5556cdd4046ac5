"""Work pools, and what their workers ask for."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.work_pools import (
    CountWorkPools,
    FilterWorkPools,
    GetScheduledFlowRuns,
    PoolConcurrencyStatusQuery,
    WorkerFlowRunResponse,
    WorkPool,
    WorkPoolConcurrencyStatus,
    WorkPoolCreate,
    WorkPoolUpdate,
)

_POOLS = "/work_pools"
_NOUN = "work_pools"

CREATE_WORK_POOL: Endpoint[WorkPool] = Endpoint("POST", f"{_POOLS}/", _NOUN, WorkPoolCreate, WorkPool, 201)
READ_WORK_POOL: Endpoint[WorkPool] = Endpoint("GET", f"{_POOLS}/{{name}}", _NOUN, returns=WorkPool)
UPDATE_WORK_POOL: Endpoint[None] = Endpoint("PATCH", f"{_POOLS}/{{name}}", _NOUN, WorkPoolUpdate, status=204)
DELETE_WORK_POOL: Endpoint[None] = Endpoint("DELETE", f"{_POOLS}/{{name}}", _NOUN, status=204)
FILTER_WORK_POOLS: Endpoint[list[WorkPool]] = Endpoint("POST", f"{_POOLS}/filter", _NOUN, FilterWorkPools, list[WorkPool])
COUNT_WORK_POOLS: Endpoint[int] = Endpoint("POST", f"{_POOLS}/count", _NOUN, CountWorkPools, int)
WORK_POOL_CONCURRENCY_STATUS: Endpoint[WorkPoolConcurrencyStatus] = Endpoint(
    "POST", f"{_POOLS}/{{name}}/concurrency_status", _NOUN, PoolConcurrencyStatusQuery, WorkPoolConcurrencyStatus
)
GET_SCHEDULED_FLOW_RUNS: Endpoint[list[WorkerFlowRunResponse]] = Endpoint(
    "POST", f"{_POOLS}/{{name}}/get_scheduled_flow_runs", "dispatch", GetScheduledFlowRuns, list[WorkerFlowRunResponse]
)
