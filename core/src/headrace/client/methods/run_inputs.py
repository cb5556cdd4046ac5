"""Documented client methods on the inputs of flow runs."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING
from uuid import UUID

from headrace.model.endpoints import run_inputs as endpoints

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.run_inputs import FlowRunInput


class RunInputMethods:
    """Inputs of flow runs, for a client that has `call`."""

    async def create_flow_run_input(self: Client, flow_run_id: UUID, key: str, value: str, sender: str | None = None) -> None:
        """Store `value`, JSON text, under a new key of a flow run. Raises `ObjectNotFound`, `ObjectAlreadyExists`."""
        from headrace.model.run_inputs import FlowRunInputCreate

        await self.call(endpoints.CREATE_FLOW_RUN_INPUT, FlowRunInputCreate(key=key, value=value, sender=sender), id=flow_run_id)

    async def filter_flow_run_input(self: Client, flow_run_id: UUID, key_prefix: str, limit: int, exclude_keys: Set[str]) -> list[FlowRunInput]:
        """Return the oldest `limit` inputs whose key begins with `key_prefix` and is not excluded."""
        from headrace.model.run_inputs import FilterFlowRunInputs

        body = FilterFlowRunInputs(prefix=key_prefix, limit=limit, exclude_keys=sorted(exclude_keys))
        return await self.call(endpoints.FILTER_FLOW_RUN_INPUT, body, id=flow_run_id)

    async def read_flow_run_input(self: Client, flow_run_id: UUID, key: str) -> str:
        """Return the JSON text under a key of a flow run. Raises `ObjectNotFound`."""
        return await self.call(endpoints.READ_FLOW_RUN_INPUT, id=flow_run_id, key=key)

    async def delete_flow_run_input(self: Client, flow_run_id: UUID, key: str) -> None:
        """Delete the input under a key of a flow run. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_FLOW_RUN_INPUT, id=flow_run_id, key=key)
