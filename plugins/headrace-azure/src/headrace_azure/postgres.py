"""Logging in to Azure Database for PostgreSQL with a managed identity: tokens of Microsoft Entra ID instead of a password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace_azure.errors import explaining
from headrace_azure.identity import time_limits
from headrace_azure.settings import AzureSettings

RETRIES = 3
SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
"""What tokens for PostgreSQL are good for ("Microsoft Entra authentication with Azure Database for PostgreSQL")."""


def set_database_connection_params(connection_url: str, settings: Any = None) -> Mapping[str, Any] | None:
    """Return the password for a server's database as a function that gives a token, fresh for each connection, which the SDK keeps while it is valid.

    None unless `integrations.azure.postgres.managed_identity.enabled` is set and the database is PostgreSQL. The user in the address is the
    identity's name as PostgreSQL knows it.
    """
    wanted = AzureSettings().postgres.managed_identity
    if not wanted.enabled or not connection_url.startswith(("postgresql", "postgres:")):
        return None
    from azure.identity import ManagedIdentityCredential

    credential = ManagedIdentityCredential(client_id=wanted.client_id, retry_total=RETRIES, **time_limits())

    def token() -> str:
        with explaining("There is no token for PostgreSQL"):
            return credential.get_token(SCOPE).token

    return {"password": token}
