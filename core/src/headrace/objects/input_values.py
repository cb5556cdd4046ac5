"""The inputs of flow runs as they are stored: values under keys. Typed inputs are in `inputs`."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.client.current_run import run_ids
from headrace.model.endpoints.run_inputs import (
    CREATE_FLOW_RUN_INPUT,
    DELETE_FLOW_RUN_INPUT,
    FILTER_FLOW_RUN_INPUT,
    READ_FLOW_RUN_INPUT,
)
from headrace.model.errors import ObjectNotFound
from headrace.model.run_inputs import FilterFlowRunInputs, FlowRunInput, FlowRunInputCreate

SENDER_PREFIX = "prefect.flow-run."


def ensure_flow_run_id(flow_run_id: UUID | None = None) -> UUID:
    """Return the given id, or that of the current flow run. Raises `RuntimeError` outside of flow runs."""
    found = flow_run_id or run_ids()[0]
    if found is None:
        raise RuntimeError("No flow run is going on here. Pass `flow_run_id` to say which flow run is meant.")
    return found


async def acreate_flow_run_input(key: str, value: Any, flow_run_id: UUID | None = None, sender: str | None = None) -> None:
    """Store `value` as JSON under `key` of a flow run, by default the current one.

    Raises a validation error for a key that is not made of letters, digits, '.', '_' and '-', `ObjectAlreadyExists` for one that is taken,
    `ObjectNotFound` for an unknown run, `RuntimeError` without one.
    """
    await store_text(key, json.dumps(value, default=_jsonable), flow_run_id, sender)


async def acreate_flow_run_input_from_model(key: str, model_instance: BaseModel, flow_run_id: UUID | None = None, sender: str | None = None) -> None:
    """Store a pydantic model under `key` of a flow run; see `acreate_flow_run_input`. The current flow run is the sender by default."""
    await store_text(key, model_instance.model_dump_json(), flow_run_id, sender or present_sender())


async def store_text(key: str, value: str, flow_run_id: UUID | None, sender: str | None) -> None:
    """Store JSON text under `key` of a flow run; see `acreate_flow_run_input`."""
    body = FlowRunInputCreate(key=key, value=value, sender=sender)
    await current_client().call(CREATE_FLOW_RUN_INPUT, body, id=ensure_flow_run_id(flow_run_id))


async def aread_flow_run_input(key: str, flow_run_id: UUID | None = None) -> Any:
    """Return the value under `key` of a flow run, by default the current one, or None when there is none."""
    try:
        return json.loads(await current_client().call(READ_FLOW_RUN_INPUT, id=ensure_flow_run_id(flow_run_id), key=key))
    except ObjectNotFound:
        return None


async def afilter_flow_run_input(
    key_prefix: str, limit: int = 1, exclude_keys: Set[str] | None = None, flow_run_id: UUID | None = None
) -> list[FlowRunInput]:
    """Return the oldest `limit` inputs whose key begins with `key_prefix` and is not excluded."""
    body = FilterFlowRunInputs(prefix=key_prefix, limit=limit, exclude_keys=sorted(exclude_keys or ()))
    return await current_client().call(FILTER_FLOW_RUN_INPUT, body, id=ensure_flow_run_id(flow_run_id))


async def adelete_flow_run_input(key: str, flow_run_id: UUID | None = None) -> None:
    """Delete the value under `key` of a flow run, by default the current one. Raises `ObjectNotFound`."""
    await current_client().call(DELETE_FLOW_RUN_INPUT, id=ensure_flow_run_id(flow_run_id), key=key)


create_flow_run_input = blocking(acreate_flow_run_input)
create_flow_run_input_from_model = blocking(acreate_flow_run_input_from_model)
read_flow_run_input = blocking(aread_flow_run_input)
filter_flow_run_input = blocking(afilter_flow_run_input)
delete_flow_run_input = blocking(adelete_flow_run_input)


def _jsonable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)


def present_sender() -> str | None:
    """Return how the current flow run is named as a sender; None outside of flow runs."""
    flow_run_id = run_ids()[0]
    return None if flow_run_id is None else f"{SENDER_PREFIX}{flow_run_id}"
