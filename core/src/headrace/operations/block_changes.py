"""What follows from changes of blocks: an event for each, and no default storage that is gone."""

from __future__ import annotations

from typing import Any, Literal

from headrace.model import clock, ids
from headrace.model.blocks import BlockDocument, BlockType
from headrace.model.events import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, RelatedResource, Resource, SentEvent
from headrace.operations.admin import clear_default_result_storage, read_default_result_storage
from headrace.operations.events import record_events
from headrace.store.database import Transaction

Happened = Literal["created", "updated", "deleted"]


def record_type_change(tx: Transaction, happened: Happened, block_type: BlockType) -> None:
    """Record that a block type was made, changed or deleted."""
    fields = block_type.model_dump(mode="json", exclude={"id", "created", "updated"})
    _record(tx, "block-type", happened, block_type.id, block_type.name, [], fields)


def record_document_change(tx: Transaction, happened: Happened, document: BlockDocument) -> None:
    """Record that a block document was made, changed or deleted. Its values stay out: they are stored encrypted, events are not."""
    block_type, schema = document.block_type, document.block_schema
    assert block_type is not None
    assert schema is not None
    payload = {
        "name": document.name,
        "block_schema": {"capabilities": schema.capabilities, "block_type": {"id": str(block_type.id), "name": block_type.name}},
    }
    related = [
        RelatedResource({RESOURCE_ID: f"prefect.block-type.{block_type.id}", RESOURCE_ROLE: "block-type", RESOURCE_NAME: block_type.name}),
        RelatedResource({RESOURCE_ID: f"prefect.block-schema.{schema.id}", RESOURCE_ROLE: "block-schema"}),
    ]
    _record(tx, "block-document", happened, document.id, document.name or "", related, payload)


def forget_missing_default_storage(tx: Transaction) -> None:
    """Clear the default result storage if its document is gone."""
    id = read_default_result_storage(tx).default_result_storage_block_id
    if id is not None and tx.sql_one("SELECT 1 FROM block_document WHERE id = ?", (id.bytes,)) is None:
        clear_default_result_storage(tx)


def _record(tx: Transaction, noun: str, happened: Happened, id: object, name: str, related: list[RelatedResource], payload: dict[str, Any]) -> None:
    event = SentEvent(
        id=ids.new(),
        occurred=clock.now(),
        event=f"prefect.{noun}.{happened}",
        resource=Resource({RESOURCE_ID: f"prefect.{noun}.{id}", RESOURCE_NAME: name}),
        related=related,
        payload=payload,
    )
    record_events(tx, [event])
