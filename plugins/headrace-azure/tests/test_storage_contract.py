"""`AzureBlobStorageContainer`, held to what every bucket owes, on Azurite."""

from __future__ import annotations

from typing import ClassVar

import pytest

from headrace.testing import ObjectStoreContract
from headrace_azure import AzureBlobStorageContainer


class TestAzureBlobStorageContainer(ObjectStoreContract):
    key_that_leads_out: ClassVar[str | None] = None  # `..` never gets there: requests takes it out of addresses

    @pytest.fixture
    def store(self, container: AzureBlobStorageContainer) -> AzureBlobStorageContainer:
        return container
