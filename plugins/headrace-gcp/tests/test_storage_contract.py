"""`GcsBucket`, held to what every bucket owes, on fake-gcs-server."""

from __future__ import annotations

import pytest

from headrace.testing import ObjectStoreContract
from headrace_gcp import GcsBucket


class TestGcsBucket(ObjectStoreContract):
    @pytest.fixture
    def store(self, bucket: GcsBucket) -> GcsBucket:
        return bucket
