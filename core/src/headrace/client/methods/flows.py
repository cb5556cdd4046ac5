"""Documented client methods on flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.methods.given import scope
from headrace.model.endpoints import flows as endpoints
from headrace.model.flows import Flow, FlowCreate

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.flows import FlowSort
    from headrace.model.run_filters import DeploymentFilter, FlowFilter, FlowRunFilter, TaskRunFilter
    from headrace.model.work_pools import WorkPoolFilter
    from headrace.model.work_queues import WorkQueueFilter


class FlowMethods:
    """Flows, for a client that has `call`."""

    async def create_flow(self: Client, flow: Any) -> UUID:
        """Register a `Flow` by its name and return its id: that of the first registration, if it is known."""
        return (await self.call(endpoints.CREATE_FLOW, FlowCreate(name=flow.name))).id

    async def create_flow_from_name(self: Client, flow_name: str) -> UUID:
        """Register a flow by name and return its id: that of the first registration, if it is known."""
        return (await self.call(endpoints.CREATE_FLOW, FlowCreate(name=flow_name))).id

    async def read_flow(self: Client, flow_id: UUID) -> Flow:
        """Return a flow. Raises `ObjectNotFound`."""
        return await self.call(endpoints.READ_FLOW, id=flow_id)

    async def read_flow_by_name(self: Client, flow_name: str) -> Flow:
        """Return the flow of that name. Raises `ObjectNotFound`."""
        return await self.call(endpoints.READ_FLOW_BY_NAME, name=flow_name)

    async def read_flows(
        self: Client,
        *,
        flow_filter: FlowFilter | None = None,
        flow_run_filter: FlowRunFilter | None = None,
        task_run_filter: TaskRunFilter | None = None,
        deployment_filter: DeploymentFilter | None = None,
        work_pool_filter: WorkPoolFilter | None = None,
        work_queue_filter: WorkQueueFilter | None = None,
        sort: FlowSort | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Flow]:
        """Return the flows that match every filter, by name unless `sort` says otherwise; at most `limit` (default and greatest: 200)."""
        from headrace.model.flows import FlowSort
        from headrace.model.run_queries import FlowQuery

        body = FlowQuery(**scope(locals()), sort=sort or FlowSort.NAME_ASC, limit=limit, offset=offset)
        return await self.call(endpoints.FILTER_FLOWS, body)

    async def delete_flow(self: Client, flow_id: UUID) -> None:
        """Delete a flow and all its runs. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_FLOW, id=flow_id)
