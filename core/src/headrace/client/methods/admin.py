"""Documented client methods on the installation itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import UUID

from headrace.model.admin import ServerDefaultResultStorage, ServerDefaultResultStorageUpdate
from headrace.model.endpoints import admin as endpoints

if TYPE_CHECKING:
    from headrace.client.interface import Client


class AdminMethods:
    """The installation, for a client that has `call`."""

    async def hello(self: Client) -> str:
        """Wave, if the operations can be reached."""
        await self.call(endpoints.READ_VERSION)
        return "👋"

    async def api_healthcheck(self: Client) -> Exception | None:
        """Return None if the operations can be reached, or the exception that tells why not."""
        try:
            await self.call(endpoints.READ_VERSION)
        except Exception as error:  # noqa: BLE001  # documented: whatever is wrong is the answer
            return error
        return None

    async def raise_for_api_version_mismatch(self: Client) -> None:
        """Raise `ServerVersionMismatch` when the server speaks another major version of the API, `ServerUnreachable` when it does not answer.

        The first call of every client does the same by itself, unless the setting `client.server_version_check_enabled` is off.
        """
        await self.call(endpoints.READ_VERSION)

    async def api_version(self: Client) -> str:
        """Return the version of headrace that performs the operations."""
        return await self.call(endpoints.READ_VERSION)

    def client_version(self) -> str:
        """Return the version of headrace here."""
        return version("headrace")

    async def read_default_result_storage(self: Client) -> ServerDefaultResultStorage:
        """Return the block that results are stored with unless a flow or task says otherwise."""
        return await self.call(endpoints.READ_DEFAULT_RESULT_STORAGE)

    async def update_default_result_storage(self: Client, block_document_id: UUID) -> ServerDefaultResultStorage:
        """Choose the block that results are stored with. Raises `ObjectNotFound` when there is no such block."""
        body = ServerDefaultResultStorageUpdate(default_result_storage_block_id=block_document_id)
        return await self.call(endpoints.UPDATE_DEFAULT_RESULT_STORAGE, body)

    async def clear_default_result_storage(self: Client) -> None:
        """Forget the chosen block; results go to the local folder again."""
        await self.call(endpoints.CLEAR_DEFAULT_RESULT_STORAGE)
