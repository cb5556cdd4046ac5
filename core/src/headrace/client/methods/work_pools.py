"""Documented client methods on work pools, work queues and workers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.methods.given import given
from headrace.model.errors import ObjectAlreadyExists

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.flow_runs import FlowRun
    from headrace.model.work_pools import WorkerFlowRunResponse, WorkPool, WorkPoolConcurrencyStatus, WorkPoolCreate, WorkPoolFilter, WorkPoolUpdate
    from headrace.model.work_queues import WorkQueue, WorkQueueConcurrencyStatus, WorkQueueFilter, WorkQueueStatusDetail
    from headrace.model.workers import Worker, WorkerFilter, WorkerMetadata

HEARTBEAT_SECONDS = 30


class WorkPoolMethods:
    """Work pools and their workers, for a client that has `call`."""

    async def create_work_pool(self: Client, work_pool: WorkPoolCreate, overwrite: bool = False) -> WorkPool:
        """Create a pool. Raises `ObjectAlreadyExists` when the name is taken, unless `overwrite`: then the pool is changed to this."""
        from headrace.model.endpoints.work_pools import CREATE_WORK_POOL, READ_WORK_POOL, UPDATE_WORK_POOL
        from headrace.model.work_pools import WorkPoolUpdate

        try:
            return await self.call(CREATE_WORK_POOL, work_pool)
        except ObjectAlreadyExists:
            if not overwrite:
                raise
        told = {name: getattr(work_pool, name) for name in work_pool.model_fields_set & WorkPoolUpdate.model_fields.keys()}
        await self.call(UPDATE_WORK_POOL, WorkPoolUpdate(**told), name=work_pool.name)
        return await self.call(READ_WORK_POOL, name=work_pool.name)

    async def read_work_pool(self: Client, work_pool_name: str) -> WorkPool:
        """Return a pool. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_pools import READ_WORK_POOL

        return await self.call(READ_WORK_POOL, name=work_pool_name)

    async def read_work_pools(
        self: Client, limit: int | None = None, offset: int = 0, work_pool_filter: WorkPoolFilter | None = None
    ) -> list[WorkPool]:
        """Return the pools that match, by name; at most `limit` (default and greatest: 200)."""
        from headrace.model.endpoints.work_pools import FILTER_WORK_POOLS
        from headrace.model.work_pools import FilterWorkPools

        return await self.call(FILTER_WORK_POOLS, FilterWorkPools(work_pools=work_pool_filter, limit=limit, offset=offset))

    async def update_work_pool(self: Client, work_pool_name: str, work_pool: WorkPoolUpdate) -> None:
        """Change what is set in `work_pool`. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_pools import UPDATE_WORK_POOL

        await self.call(UPDATE_WORK_POOL, work_pool, name=work_pool_name)

    async def delete_work_pool(self: Client, work_pool_name: str) -> None:
        """Delete a pool with its queues and workers. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_pools import DELETE_WORK_POOL

        await self.call(DELETE_WORK_POOL, name=work_pool_name)

    async def read_work_pool_concurrency_status(
        self: Client, work_pool_name: str, page: int = 1, limit: int | None = None, flow_run_limit: int = 10
    ) -> WorkPoolConcurrencyStatus:
        """Return what takes the slots of a pool, a page of its queues at a time, with at most `flow_run_limit` runs of each."""
        from headrace.model.endpoints.work_pools import WORK_POOL_CONCURRENCY_STATUS
        from headrace.model.work_pools import PoolConcurrencyStatusQuery

        body = PoolConcurrencyStatusQuery(page=page, limit=limit, flow_run_limit=flow_run_limit)
        return await self.call(WORK_POOL_CONCURRENCY_STATUS, body, name=work_pool_name)

    async def get_scheduled_flow_runs_for_work_pool(
        self: Client, work_pool_name: str, work_queue_names: list[str] | None = None, scheduled_before: datetime | None = None
    ) -> list[WorkerFlowRunResponse]:
        """Return runs that a worker of the pool may start, of all its queues unless some are named."""
        from headrace.model.endpoints.work_pools import GET_SCHEDULED_FLOW_RUNS
        from headrace.model.work_pools import GetScheduledFlowRuns

        body = GetScheduledFlowRuns(work_queue_names=work_queue_names, scheduled_before=scheduled_before)
        return await self.call(GET_SCHEDULED_FLOW_RUNS, body, name=work_pool_name)

    # --- workers

    async def send_worker_heartbeat(
        self: Client,
        work_pool_name: str,
        worker_name: str,
        heartbeat_interval_seconds: float | None = None,
        get_worker_id: bool = False,
        worker_metadata: WorkerMetadata | None = None,
    ) -> UUID | None:
        """Say that a worker lives. Returns None: the server keeps no id of workers and no metadata, so the last two options change nothing."""
        from headrace.model.endpoints.workers import WORKER_HEARTBEAT
        from headrace.model.workers import WorkerHeartbeat

        seconds = int(heartbeat_interval_seconds if heartbeat_interval_seconds is not None else HEARTBEAT_SECONDS)
        await self.call(WORKER_HEARTBEAT, WorkerHeartbeat(name=worker_name, heartbeat_interval_seconds=seconds), work_pool_name=work_pool_name)
        return None

    async def read_workers_for_work_pool(
        self: Client, work_pool_name: str, worker_filter: WorkerFilter | None = None, offset: int | None = None, limit: int | None = None
    ) -> list[Worker]:
        """Return the workers of a pool that match, the one that was heard of last first."""
        from headrace.model.endpoints.workers import FILTER_WORKERS
        from headrace.model.workers import FilterWorkers

        return await self.call(FILTER_WORKERS, FilterWorkers(workers=worker_filter, offset=offset or 0, limit=limit), work_pool_name=work_pool_name)

    async def read_worker_metadata(self: Client) -> dict[str, Any]:
        """Return the types of workers that are known, by the package that brings them."""
        from headrace.model.endpoints.workers import READ_COLLECTION_VIEW

        return await self.call(READ_COLLECTION_VIEW, view="aggregate-worker-metadata")


class WorkQueueMethods:
    """Work queues, for a client that has `call`. Without a pool's name, queues of the default pool are meant."""

    async def create_work_queue(
        self: Client,
        name: str,
        description: str | None = None,
        is_paused: bool | None = None,
        concurrency_limit: int | None = None,
        priority: int | None = None,
        work_pool_name: str | None = None,
    ) -> WorkQueue:
        """Create a queue. Raises `ObjectAlreadyExists` when the pool has one of that name, `ObjectNotFound` when there is no such pool."""
        from headrace.model.endpoints.work_queues import CREATE_POOL_QUEUE, CREATE_WORK_QUEUE
        from headrace.model.work_queues import WorkQueueCreate

        told = given(name=name, description=description, is_paused=is_paused, concurrency_limit=concurrency_limit, priority=priority)
        if work_pool_name is None:
            return await self.call(CREATE_WORK_QUEUE, WorkQueueCreate(**told))
        return await self.call(CREATE_POOL_QUEUE, WorkQueueCreate(**told), work_pool_name=work_pool_name)

    async def read_work_queue(self: Client, id: UUID) -> WorkQueue:
        """Return a queue. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_queues import READ_WORK_QUEUE

        return await self.call(READ_WORK_QUEUE, id=id)

    async def read_work_queue_by_name(self: Client, name: str, work_pool_name: str | None = None) -> WorkQueue:
        """Return the queue of that name. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_queues import READ_POOL_QUEUE, READ_WORK_QUEUE_BY_NAME

        if work_pool_name is None:
            return await self.call(READ_WORK_QUEUE_BY_NAME, name=name)
        return await self.call(READ_POOL_QUEUE, work_pool_name=work_pool_name, name=name)

    async def read_work_queues(
        self: Client,
        work_pool_name: str | None = None,
        work_queue_filter: WorkQueueFilter | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[WorkQueue]:
        """Return the queues that match, of one pool or of all; at most `limit` (default and greatest: 200)."""
        from headrace.model.endpoints.work_queues import FILTER_POOL_QUEUES, FILTER_WORK_QUEUES
        from headrace.model.work_queues import FilterWorkQueues

        body = FilterWorkQueues(work_queues=work_queue_filter, limit=limit, offset=offset or 0)
        if work_pool_name is None:
            return await self.call(FILTER_WORK_QUEUES, body)
        return await self.call(FILTER_POOL_QUEUES, body, work_pool_name=work_pool_name)

    async def match_work_queues(self: Client, prefixes: list[str], work_pool_name: str | None = None) -> list[WorkQueue]:
        """Return all queues whose names begin with one of the prefixes."""
        from headrace.model.endpoints.work_queues import FILTER_POOL_QUEUES, FILTER_WORK_QUEUES
        from headrace.model.work_queues import FilterWorkQueues, WorkQueueFilter, WorkQueueFilterName

        wanted = WorkQueueFilter(name=WorkQueueFilterName(startswith_=prefixes))
        found: list[WorkQueue] = []
        while True:
            body = FilterWorkQueues(work_queues=wanted, offset=len(found))
            if work_pool_name is None:
                page = await self.call(FILTER_WORK_QUEUES, body)
            else:
                page = await self.call(FILTER_POOL_QUEUES, body, work_pool_name=work_pool_name)
            if not page:
                return found
            found += page

    async def update_work_queue(self: Client, id: UUID, **kwargs: Any) -> None:
        """Change fields of a queue: `name`, `description`, `is_paused`, `concurrency_limit`, `priority`. Raises `ValueError` without any."""
        from headrace.model.endpoints.work_queues import UPDATE_WORK_QUEUE
        from headrace.model.work_queues import WorkQueueUpdate

        if not kwargs:
            raise ValueError("No fields provided to update: give what changes, as `is_paused=True`.")
        await self.call(UPDATE_WORK_QUEUE, WorkQueueUpdate(**kwargs), id=id)

    async def delete_work_queue_by_id(self: Client, id: UUID) -> None:
        """Delete a queue. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_queues import DELETE_WORK_QUEUE

        await self.call(DELETE_WORK_QUEUE, id=id)

    async def get_runs_in_work_queue(self: Client, id: UUID, limit: int = 10, scheduled_before: datetime | None = None) -> list[FlowRun]:
        """Return runs of a queue that are due before `scheduled_before`."""
        from headrace.model.endpoints.work_queues import READ_WORK_QUEUE_RUNS
        from headrace.model.work_queues import QueueRunsQuery

        return await self.call(READ_WORK_QUEUE_RUNS, QueueRunsQuery(limit=limit, scheduled_before=scheduled_before), id=id)

    async def read_work_queue_status(self: Client, id: UUID) -> WorkQueueStatusDetail:
        """Return how a queue does: whether it is polled, and how many runs in it are late. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_queues import WORK_QUEUE_STATUS

        return await self.call(WORK_QUEUE_STATUS, id=id)

    async def read_work_queue_concurrency_status(self: Client, id: UUID, page: int = 1, limit: int | None = None) -> WorkQueueConcurrencyStatus:
        """Return the runs that take slots of a queue, a page at a time. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.work_queues import WORK_QUEUE_CONCURRENCY_STATUS
        from headrace.model.work_queues import ConcurrencyStatusQuery

        return await self.call(WORK_QUEUE_CONCURRENCY_STATUS, ConcurrencyStatusQuery(page=page, limit=limit), id=id)
