"""The installation itself."""

from __future__ import annotations

from typing import Any

from headrace.model.admin import ServerDefaultResultStorage, ServerDefaultResultStorageUpdate
from headrace.model.endpoints.base import Endpoint

READ_SETTINGS: Endpoint[dict[str, Any]] = Endpoint("GET", "/admin/settings", "admin", returns=dict[str, Any])
READ_VERSION: Endpoint[str] = Endpoint("GET", "/admin/version", "admin", returns=str)
READ_DEFAULT_RESULT_STORAGE: Endpoint[ServerDefaultResultStorage] = Endpoint("GET", "/admin/storage", "admin", returns=ServerDefaultResultStorage)
UPDATE_DEFAULT_RESULT_STORAGE: Endpoint[ServerDefaultResultStorage] = Endpoint(
    "PUT", "/admin/storage", "admin", body=ServerDefaultResultStorageUpdate, returns=ServerDefaultResultStorage
)
CLEAR_DEFAULT_RESULT_STORAGE: Endpoint[None] = Endpoint("DELETE", "/admin/storage", "admin", status=204)
