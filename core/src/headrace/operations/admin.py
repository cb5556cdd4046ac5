"""The installation itself: its version, its settings without secrets, where results go unless told otherwise."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.admin import ServerDefaultResultStorage, ServerDefaultResultStorageUpdate
from headrace.model.endpoints import admin as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.operations.table import Operation
from headrace.settings import get_current_settings
from headrace.store.codec import json_in, json_out
from headrace.store.database import Transaction

_STORAGE_KEY = "default-result-storage"


def read_version(tx: Transaction) -> str:
    """Return the version that clients are to hold their own against: headrace's own here, the setting `server.compat_version` on a server."""
    if tx.caller.is_server:
        return get_current_settings().server.compat_version
    from importlib.metadata import version

    return version("headrace")


def read_settings(tx: Transaction) -> dict[str, Any]:
    """Return the settings in force, secrets hidden."""
    return get_current_settings().model_dump(mode="json")


def read_default_result_storage(tx: Transaction) -> ServerDefaultResultStorage:
    """Return the block that results are stored with unless a flow or task says otherwise."""
    row = tx.sql_one("SELECT value FROM configuration WHERE key = ?", (_STORAGE_KEY,))
    block_id = json_out(row[0]) if row is not None else None
    return ServerDefaultResultStorage(default_result_storage_block_id=UUID(block_id) if block_id else None)


def update_default_result_storage(tx: Transaction, body: ServerDefaultResultStorageUpdate) -> ServerDefaultResultStorage:
    """Choose the block that results are stored with. Raises `ObjectNotFound` when there is no such block."""
    block_id = body.default_result_storage_block_id
    if tx.sql_one("SELECT 1 FROM block_document WHERE id = ?", (block_id.bytes,)) is None:
        raise ObjectNotFound(help_message=f"Block document not found: none has the id {block_id}, so results cannot be stored with it.")
    tx.sql(
        "INSERT INTO configuration (key, value, updated) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated = excluded.updated",
        (_STORAGE_KEY, json_in(str(block_id)), clock.now_us()),
    )
    return ServerDefaultResultStorage(default_result_storage_block_id=block_id)


def clear_default_result_storage(tx: Transaction) -> None:
    """Forget the chosen block; results go to the local folder again."""
    tx.sql("DELETE FROM configuration WHERE key = ?", (_STORAGE_KEY,))


OPERATIONS = {
    endpoints.READ_VERSION: Operation(read_version, writes=False),
    endpoints.READ_SETTINGS: Operation(read_settings, writes=False),
    endpoints.READ_DEFAULT_RESULT_STORAGE: Operation(read_default_result_storage, writes=False),
    endpoints.UPDATE_DEFAULT_RESULT_STORAGE: Operation(update_default_result_storage, writes=True),
    endpoints.CLEAR_DEFAULT_RESULT_STORAGE: Operation(clear_default_result_storage, writes=True),
}
