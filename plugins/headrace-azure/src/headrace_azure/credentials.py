"""How to log in to services of Azure, and clients of them. Each client's SDK is imported when the client is asked for."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, SecretStr, model_validator

from headrace.blocks.abstract import CredentialsBlock
from headrace.blocks.core import Block
from headrace.blocks.credentials import Live, revealed
from headrace.blocks.git import url_with_login
from headrace.utilities.asyncutils import twins
from headrace_azure.errors import explaining, needing
from headrace_azure.identity import time_limits, token_credential, transport
from headrace_azure.settings import AzureSettings

if TYPE_CHECKING:
    from azure.cosmos import ContainerProxy, CosmosClient, DatabaseProxy
    from azure.mgmt.containerinstance import ContainerInstanceManagementClient
    from azure.mgmt.resource import ResourceManagementClient
    from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

    from headrace_azure.ml_workspace import Workspace

PIECE_BYTES = 4 * 1024 * 1024
"""How much of a blob one request of a download brings, and one block of an upload holds."""
SINGLE_BYTES = 8 * 1024 * 1024
"""A smaller blob goes over in one request."""
RETRIES = 3
"""How often an SDK repeats a request that failed."""
POLL_SECONDS = 2
"""How often the SDK asks Azure Resource Manager how far it is, where that does not say so."""

_GIT_USER = "headrace"
"""Azure DevOps looks at the token alone; some user git has to name."""


class AzureBlobStorageCredentials(CredentialsBlock):
    """Logs in to a storage account: with a connection string, or at its address with a service principal or what DefaultAzureCredential finds.

    With `account_url` alone, credentials are looked for as Azure does: environment variables, a workload's or managed identity, `az login`. A
    connection string goes before the address.

    Example:
        ```python
        from headrace_azure import AzureBlobStorageCredentials

        AzureBlobStorageCredentials(connection_string="DefaultEndpointsProtocol=https;AccountName=...").save("my-account")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Azure Blob Storage Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-blob-storage-credentials"

    connection_string: SecretStr | None = Field(default=None, description="The connection string of the storage account; it may hold a key or a SAS.")
    account_url: str | None = Field(
        default=None, title="Account URL", description="The account's address, as https://my-account.blob.core.windows.net/; it may hold no SAS."
    )
    client_id: str | None = Field(default=None, title="Client ID", description="The service principal's client id.")
    tenant_id: str | None = Field(default=None, title="Tenant ID", description="The service principal's tenant.")
    client_secret: SecretStr | None = Field(default=None, description="The service principal's secret.")

    _client: Live[Any] = PrivateAttr(default_factory=Live)
    _credential: Live[Any] = PrivateAttr(default_factory=Live)

    @model_validator(mode="after")
    def check_connection_string_or_account_url(self) -> Self:
        """See that there is one way to log in, and that it is complete."""
        principal = {name: bool(revealed(getattr(self, name))) for name in ("tenant_id", "client_id", "client_secret")}
        if not revealed(self.connection_string) and not self.account_url:
            raise ValueError("Give either connection_string or account_url: without them no storage account is known.")
        if "sig=" in urlsplit(self.account_url or "").query:
            raise ValueError(
                "account_url holds a SAS, which would be shown. Give it as connection_string, which is kept secret: "
                "BlobEndpoint=https://my-account.blob.core.windows.net;SharedAccessSignature=sv=…"
            )
        if any(principal.values()):
            if revealed(self.connection_string):
                raise ValueError("A connection string comes with its own key: give it without tenant_id, client_id and client_secret.")
            _all_or_none(principal)
        return self

    def get_client(self) -> BlobServiceClient:
        """Return the SDK's client of the account, made at first use; threads can share it.

        Raises `ImportError` without the extra `blob_storage`, `ValueError` for a connection string that is none.
        """
        return self._client.get(self._make)

    def get_blob_client(self, container: str, blob: str) -> BlobClient:
        """Return the SDK's client of one blob; nothing is asked of Azure for it."""
        return self.get_client().get_blob_client(container=container, blob=blob)

    def get_container_client(self, container: str) -> ContainerClient:
        """Return the SDK's client of one container; nothing is asked of Azure for it."""
        return self.get_client().get_container_client(container=container)

    def _close(self) -> None:
        """Close the client and the credential, if any were made. What is asked for afterwards is made anew."""
        for one in (self._client.drop(), self._credential.drop()):
            if one is not None:
                one.close()

    close, aclose = twins(_close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _make(self) -> BlobServiceClient:
        with needing("blob_storage"):
            from azure.storage.blob import BlobServiceClient

        options: dict[str, Any] = {
            "transport": transport(),
            "retry_policy": _retry_policy(),
            "max_single_get_size": SINGLE_BYTES,
            "max_chunk_get_size": PIECE_BYTES,
            "max_single_put_size": SINGLE_BYTES,
            "max_block_size": PIECE_BYTES,
        }
        text = revealed(self.connection_string)
        if text:
            try:
                return BlobServiceClient.from_connection_string(text, **options)
            except ValueError as error:
                raise ValueError("The connection string cannot be read. Copy it from the account's page 'Access keys' as a whole.") from error
        credential = self._credential.get(lambda: token_credential(self.tenant_id, self.client_id, revealed(self.client_secret)))
        return BlobServiceClient(str(self.account_url), credential=credential, **options)


class AzureCosmosDbCredentials(CredentialsBlock):
    """Logs in to Cosmos DB with a connection string.

    Example:
        ```python
        from headrace_azure import AzureCosmosDbCredentials

        AzureCosmosDbCredentials(connection_string="AccountEndpoint=...;AccountKey=...;").save("my-account")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Azure Cosmos DB Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-cosmos-db-credentials"

    connection_string: SecretStr = Field(description="The connection string of the account, with its key.")

    _client: Live[Any] = PrivateAttr(default_factory=Live)

    def get_client(self) -> CosmosClient:
        """Return the SDK's client, made at first use, for which the account is asked where it is.

        Raises `ImportError` without the extra `cosmos_db`, `ValueError` for a connection string that is none, `AzureError` when Cosmos DB refuses
        or does not answer.
        """
        return self._client.get(self._make)

    def get_database_client(self, database: str) -> DatabaseProxy:
        """Return the SDK's client of a database, by its name."""
        return self.get_client().get_database_client(database=database)

    def get_container_client(self, container: str, database: str) -> ContainerProxy:
        """Return the SDK's client of a container of a database, by their names."""
        return self.get_database_client(database).get_container_client(container=container)

    def _make(self) -> CosmosClient:
        with needing("cosmos_db"):
            from azure.cosmos import CosmosClient

        limits = time_limits()
        with explaining("Cosmos DB cannot be used", self):
            try:
                return CosmosClient.from_connection_string(
                    self.connection_string.get_secret_value(),
                    connection_timeout=limits["connection_timeout"],
                    read_timeout=limits["read_timeout"],
                )
            except (KeyError, ValueError) as error:
                raise ValueError("The connection string cannot be read. It looks like AccountEndpoint=https://…;AccountKey=…;") from error


class AzureMlCredentials(Block):
    """Logs in to a workspace of Azure Machine Learning with a service principal.

    Example:
        ```python
        from headrace_azure import AzureMlCredentials

        workspace = AzureMlCredentials.load("my-workspace").get_workspace()
        ```
    """

    _block_type_name: ClassVar[str | None] = "AzureML Credentials"
    _block_type_slug: ClassVar[str | None] = "azureml-credentials"

    tenant_id: str = Field(description="The active directory tenant that the service identity belongs to.")
    service_principal_id: str = Field(description="The service principal ID.")
    service_principal_password: SecretStr = Field(description="The service principal password/key.")
    subscription_id: str = Field(description="The Azure subscription ID containing the workspace.")
    resource_group: str = Field(description="The resource group containing the workspace.")
    workspace_name: str = Field(description="The existing workspace name.")

    _workspace: Live[Any] = PrivateAttr(default_factory=Live)

    def get_workspace(self) -> Workspace:
        """Return the workspace, made at first use, by which its datastores are had. Nothing is asked of Azure for it."""
        return self._workspace.get(self._make)

    def _make(self) -> Workspace:
        from headrace_azure.ml_workspace import Workspace

        credential = token_credential(self.tenant_id, self.service_principal_id, self.service_principal_password.get_secret_value())
        return Workspace(credential, self.subscription_id, self.resource_group, self.workspace_name)


class AzureContainerInstanceCredentials(Block):
    """Logs in to Azure Resource Manager: with a service principal, or with what DefaultAzureCredential finds.

    Example:
        ```python
        from headrace_azure import AzureContainerInstanceCredentials

        AzureContainerInstanceCredentials(client_id="...", tenant_id="...", client_secret="...").save("my-principal")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Azure Container Instance Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-container-instance-credentials"

    client_id: str | None = Field(default=None, title="Client ID", description="The service principal's client id; needs the other two.")
    tenant_id: str | None = Field(default=None, title="Tenant ID", description="The service principal's tenant; needs the other two.")
    client_secret: SecretStr | None = Field(default=None, description="The service principal's secret; needs the other two.")
    credential_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        title="Additional Credential Keyword Arguments",
        description="More arguments of the SDK's ClientSecretCredential or DefaultAzureCredential, as managed_identity_client_id.",
    )

    _credential: Live[Any] = PrivateAttr(default_factory=Live)
    _clients: dict[tuple[str, str], Live[Any]] = PrivateAttr(default_factory=dict[tuple[str, str], Live[Any]])

    @model_validator(mode="after")
    def validate_credential_kwargs(self) -> Self:
        """See that the service principal is complete, if there is one."""
        _all_or_none({name: bool(revealed(getattr(self, name))) for name in ("tenant_id", "client_id", "client_secret")})
        return self

    def get_container_client(self, subscription_id: str) -> ContainerInstanceManagementClient:
        """Return the SDK's client for container groups of a subscription, made at first use; threads can share it."""
        from azure.mgmt.containerinstance import ContainerInstanceManagementClient

        return self._made(ContainerInstanceManagementClient, subscription_id)

    def get_resource_client(self, subscription_id: str) -> ResourceManagementClient:
        """Return the SDK's client for resources and deployments of a subscription, made at first use; threads can share it."""
        from azure.mgmt.resource import ResourceManagementClient

        return self._made(ResourceManagementClient, subscription_id)

    def _made(self, kind: Any, subscription_id: str) -> Any:
        url = AzureSettings().resource_manager_url.rstrip("/")

        def make() -> Any:
            credential = self._credential.get(
                lambda: token_credential(self.tenant_id, self.client_id, revealed(self.client_secret), **self.credential_kwargs)
            )
            options = {"base_url": url, "credential_scopes": [f"{url}/.default"], "transport": transport(), "retry_total": RETRIES}
            options["polling_interval"] = POLL_SECONDS
            return kind(credential=credential, subscription_id=subscription_id, **options)

        return self._clients.setdefault((kind.__name__, f"{subscription_id} {url}"), Live()).get(make)


class AzureDevopsCredentials(Block):
    """Logs in to Azure DevOps with a personal access token.

    Example:
        ```python
        from headrace_azure import AzureDevopsCredentials

        AzureDevopsCredentials(token="...").save("my-organization")
        ```
    """

    _block_type_name: ClassVar[str | None] = "AzureDevops Credentials"
    _block_type_slug: ClassVar[str | None] = "azuredevops-credentials"

    token: SecretStr | None = Field(default=None, description="A personal access token of Azure DevOps; to clone, it needs the scope 'Code (read)'.")

    def get_auth_header(self) -> dict[str, str]:
        """Return the header by which Azure DevOps' REST API knows the token: `{"Authorization": "Basic …"}`. Raises `ValueError` without a token."""
        return {"Authorization": "Basic " + base64.b64encode(f":{self._token()}".encode()).decode()}

    def format_git_credentials(self, url: str) -> str:
        """Return the address with the token in it; the step `git_clone` calls this too. Raises `ValueError` without a token."""
        return url_with_login(url, _GIT_USER, self._token())

    def _token(self) -> str:
        token = revealed(self.token)
        if not token:
            raise ValueError("These credentials for Azure DevOps have no token. Give `token` a personal access token.")
        return str(token)


def _retry_policy() -> Any:
    """Return how Blob Storage's SDK repeats requests: sooner than by itself, and not those for which nobody gives a token."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.storage.blob import ExponentialRetry

    class Retry(ExponentialRetry):
        def increment(self, settings: Any, request: Any, response: Any = None, error: Any = None) -> bool:
            return not isinstance(error, ClientAuthenticationError) and super().increment(settings, request, response, error)

    return Retry(initial_backoff=1, increment_base=2, random_jitter_range=1, retry_total=RETRIES)


def _all_or_none(principal: dict[str, bool]) -> None:
    missing = [name for name, is_there in principal.items() if not is_there]
    if missing and len(missing) < len(principal):
        raise ValueError(
            f"A service principal needs tenant_id, client_id and client_secret; {' and '.join(missing)} missing. Without any of them, "
            "DefaultAzureCredential looks for credentials."
        )
