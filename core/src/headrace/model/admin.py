"""What an installation says and keeps about itself."""

from __future__ import annotations

from uuid import UUID

from headrace.model.base import Action, Model


class ServerDefaultResultStorage(Model):
    """The block that results are stored with unless a flow or task says otherwise."""

    default_result_storage_block_id: UUID | None = None


class ServerDefaultResultStorageUpdate(Action):
    """The block to store results with from now on."""

    default_result_storage_block_id: UUID
