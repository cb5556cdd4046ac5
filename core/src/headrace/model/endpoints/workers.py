"""Workers, and the catalogue of their types."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.workers import FilterWorkers, Worker, WorkerCatalogue, WorkerHeartbeat

_WORKERS = "/work_pools/{work_pool_name}/workers"

WORKER_HEARTBEAT: Endpoint[None] = Endpoint("POST", f"{_WORKERS}/heartbeat", "workers", WorkerHeartbeat, status=204)
FILTER_WORKERS: Endpoint[list[Worker]] = Endpoint("POST", f"{_WORKERS}/filter", "workers", FilterWorkers, list[Worker])
DELETE_WORKER: Endpoint[None] = Endpoint("DELETE", f"{_WORKERS}/{{name}}", "workers", status=204)
READ_COLLECTION_VIEW: Endpoint[WorkerCatalogue] = Endpoint("GET", "/collections/views/{view}", "collections", returns=WorkerCatalogue)
