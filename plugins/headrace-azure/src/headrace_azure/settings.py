"""Settings of this plugin: `HEADRACE_INTEGRATIONS_AZURE_…`, or `[integrations.azure]` in a settings file."""

from __future__ import annotations

from headrace.settings.base import HeadraceBaseSettings, group, setting


class PostgresManagedIdentitySettings(HeadraceBaseSettings, path="integrations.azure.postgres.managed_identity"):
    """Logging in to Azure Database for PostgreSQL with a managed identity."""

    enabled: bool = setting(False, "Log in to the server's database with a token of a managed identity instead of a password.")
    client_id: str | None = setting(None, "The client id of a user-assigned identity; by default what Azure finds where the server runs.")


class PostgresSettings(HeadraceBaseSettings, path="integrations.azure.postgres"):
    """Azure Database for PostgreSQL."""

    managed_identity: PostgresManagedIdentitySettings = group(PostgresManagedIdentitySettings)


class AzureSettings(HeadraceBaseSettings, path="integrations.azure"):
    """Settings of headrace-azure."""

    postgres: PostgresSettings = group(PostgresSettings)
    authority: str | None = setting(
        None,
        "Where tokens are had, for clouds other than the public one: https://login.microsoftonline.us. Default: AZURE_AUTHORITY_HOST, or Azure's.",
    )
    is_private_cloud: bool = setting(
        False, "Whether the authority is one that Azure's public directory does not know, as that of an Azure Stack: then it is not looked up there."
    )
    resource_manager_url: str = setting(
        "https://management.azure.com", "Where Azure Resource Manager answers: https://management.usgovcloudapi.net for the US government's cloud."
    )
    connection_timeout_seconds: float = setting(20.0, "How long a connection to a service of Azure may take to come about.", ge=1)
    read_timeout_seconds: float = setting(60.0, "How long a service of Azure may be silent within an answer before the request counts as lost.", ge=1)
