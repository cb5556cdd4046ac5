"""What follows from changes of blocks: an event for each, and no default storage that is gone."""

from __future__ import annotations

from headrace.model.blocks import BlockDocument, BlockType
from headrace.operations.admin import clear_default_result_storage, read_default_result_storage
from headrace.operations.events.lifecycle import Happened, tell
from headrace.store.database import Transaction


def tell_type_change(tx: Transaction, happened: Happened, block_type: BlockType) -> None:
    """Tell that a block type was made, changed or deleted."""
    tell(tx, "block-type", happened, block_type)


def tell_document_change(tx: Transaction, happened: Happened, document: BlockDocument) -> None:
    """Tell that a block document was made, changed or deleted. Its values stay out: they are stored encrypted, events are not."""
    block_type, schema = document.block_type, document.block_schema
    if not tx.caller.is_server:
        return
    from headrace.operations.events.emitting import related_resource

    assert block_type is not None
    assert schema is not None
    payload = {
        "name": document.name,
        "block_schema": {"capabilities": schema.capabilities, "block_type": {"id": str(block_type.id), "name": block_type.name}},
    }
    related = [
        related_resource("block-type", "block-type", block_type.id, block_type.name),
        related_resource("block-schema", "block-schema", schema.id),
    ]
    tell(tx, "block-document", happened, document, name=document.name or "", related=related, payload=payload)


def forget_missing_default_storage(tx: Transaction) -> None:
    """Clear the default result storage if its document is gone."""
    id = read_default_result_storage(tx).default_result_storage_block_id
    if id is not None and tx.sql_one("SELECT 1 FROM block_document WHERE id = ?", (id.bytes,)) is None:
        clear_default_result_storage(tx)
