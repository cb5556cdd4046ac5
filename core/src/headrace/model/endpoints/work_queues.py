"""Work queues: those of a pool by name, and any by id."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.flow_runs import FlowRun
from headrace.model.work_queues import (
    ConcurrencyStatusQuery,
    FilterWorkQueues,
    QueueRunsQuery,
    WorkQueue,
    WorkQueueConcurrencyStatus,
    WorkQueueCreate,
    WorkQueueStatusDetail,
    WorkQueueUpdate,
)

_IN_POOL = "/work_pools/{work_pool_name}/queues"
_QUEUES = "/work_queues"
_NOUN = "work_queues"

CREATE_POOL_QUEUE: Endpoint[WorkQueue] = Endpoint("POST", _IN_POOL, _NOUN, WorkQueueCreate, WorkQueue, 201)
READ_POOL_QUEUE: Endpoint[WorkQueue] = Endpoint("GET", f"{_IN_POOL}/{{name}}", _NOUN, returns=WorkQueue)
UPDATE_POOL_QUEUE: Endpoint[None] = Endpoint("PATCH", f"{_IN_POOL}/{{name}}", _NOUN, WorkQueueUpdate, status=204)
DELETE_POOL_QUEUE: Endpoint[None] = Endpoint("DELETE", f"{_IN_POOL}/{{name}}", _NOUN, status=204)
FILTER_POOL_QUEUES: Endpoint[list[WorkQueue]] = Endpoint("POST", f"{_IN_POOL}/filter", _NOUN, FilterWorkQueues, list[WorkQueue])

CREATE_WORK_QUEUE: Endpoint[WorkQueue] = Endpoint("POST", f"{_QUEUES}/", _NOUN, WorkQueueCreate, WorkQueue, 201)
READ_WORK_QUEUE: Endpoint[WorkQueue] = Endpoint("GET", f"{_QUEUES}/{{id}}", _NOUN, returns=WorkQueue)
READ_WORK_QUEUE_BY_NAME: Endpoint[WorkQueue] = Endpoint("GET", f"{_QUEUES}/name/{{name}}", _NOUN, returns=WorkQueue)
UPDATE_WORK_QUEUE: Endpoint[None] = Endpoint("PATCH", f"{_QUEUES}/{{id}}", _NOUN, WorkQueueUpdate, status=204)
DELETE_WORK_QUEUE: Endpoint[None] = Endpoint("DELETE", f"{_QUEUES}/{{id}}", _NOUN, status=204)
FILTER_WORK_QUEUES: Endpoint[list[WorkQueue]] = Endpoint("POST", f"{_QUEUES}/filter", _NOUN, FilterWorkQueues, list[WorkQueue])
WORK_QUEUE_STATUS: Endpoint[WorkQueueStatusDetail] = Endpoint("GET", f"{_QUEUES}/{{id}}/status", _NOUN, returns=WorkQueueStatusDetail)
WORK_QUEUE_CONCURRENCY_STATUS: Endpoint[WorkQueueConcurrencyStatus] = Endpoint(
    "POST", f"{_QUEUES}/{{id}}/concurrency_status", _NOUN, ConcurrencyStatusQuery, WorkQueueConcurrencyStatus
)
READ_WORK_QUEUE_RUNS: Endpoint[list[FlowRun]] = Endpoint("POST", f"{_QUEUES}/{{id}}/get_runs", "dispatch", QueueRunsQuery, list[FlowRun])
