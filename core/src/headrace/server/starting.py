"""What a server does when it starts: look after what dead processes left, and register the blocks that headrace brings.

What it needs for that is loaded then, when the server answers already.
"""

from __future__ import annotations

from headrace.settings import get_current_settings, temporary_settings
from headrace.store.database import Database


def touch(database: Database) -> None:
    """Open the database, or see that it still answers."""
    with database.read():
        pass


def take_over_from_the_dead(database: Database) -> None:
    """Deliver what embedded processes of this home left when they died, and mark their runs Crashed."""
    from headrace.client.connect import spool_folder
    from headrace.client.delivery import recover
    from headrace.client.embedded import EmbeddedClient
    from headrace.model.caller import SERVICE

    with temporary_settings(restore_defaults=["HEADRACE_API_URL"]):  # runs of another server are its own affair
        folder = spool_folder(get_current_settings())
    recover(folder, EmbeddedClient(database, SERVICE))


def install_blocks(database: Database) -> None:
    """Register the block types that headrace brings, unless the setting `server.register_blocks_on_start` says otherwise."""
    from headrace.model.caller import SERVICE
    from headrace.model.endpoints.blocks import INSTALL_SYSTEM_BLOCK_TYPES
    from headrace.operations import table

    if get_current_settings().server.register_blocks_on_start:
        table.answer(database, INSTALL_SYSTEM_BLOCK_TYPES, None, {}, SERVICE)
