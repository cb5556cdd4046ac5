"""A workspace of Azure Machine Learning and its datastores, by the REST interface of Azure Resource Manager ("Datastores", 2024-04-01)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace_azure.errors import AzureError, explaining
from headrace_azure.identity import transport
from headrace_azure.settings import AzureSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

API_VERSION = "2024-04-01"
RETRIES = 3


@dataclass(frozen=True)
class Datastore:
    """A datastore of a workspace. `properties` is what Azure tells of it; secrets are not among that."""

    name: str
    datastore_type: str
    is_default: bool
    properties: dict[str, Any]

    @property
    def account_url(self) -> str:
        """The address of the storage account. Raises `ValueError` when it is no datastore of Blob Storage."""
        if self.datastore_type != "AzureBlob":
            raise ValueError(f"The datastore {self.name!r} is of type {self.datastore_type}. Files are uploaded to those of type AzureBlob.")
        given = self.properties
        return f"{given.get('protocol') or 'https'}://{given['accountName']}.blob.{given.get('endpoint') or 'core.windows.net'}"


class AzureBlobDatastore(Datastore):
    """A datastore that is a container of Blob Storage."""


@dataclass(frozen=True)
class DataReference:
    """Files on a datastore: `path` is the folder that they were uploaded to, empty for its top."""

    datastore: Datastore
    path: str

    @property
    def uri(self) -> str:
        """What jobs of Azure Machine Learning call it: `azureml://datastores/<name>/paths/<path>`."""
        return f"azureml://datastores/{self.datastore.name}/paths/{self.path}"


class Workspace:
    """A workspace, for which requests are made with a credential. Threads can share it."""

    def __init__(self, credential: TokenCredential, subscription_id: str, resource_group: str, name: str) -> None:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy, UserAgentPolicy

        base = AzureSettings().resource_manager_url.rstrip("/")
        self.credential = credential
        self.name = name
        self._path = f"/subscriptions/{subscription_id}/resourceGroups/{resource_group}/providers/Microsoft.MachineLearningServices/workspaces/{name}"
        policies = [UserAgentPolicy("headrace-azure"), RetryPolicy(retry_total=RETRIES), BearerTokenCredentialPolicy(credential, f"{base}/.default")]
        self._client: Any = PipelineClient(base, policies=policies, transport=transport())

    def __repr__(self) -> str:
        return f"Workspace({self.name!r})"

    @property
    def datastores(self) -> dict[str, Datastore]:
        """The datastores by their names, as Azure tells of them now. Raises `AzureError`."""
        return {one.name: one for one in self._list({})}

    def get_default_datastore(self) -> Datastore:
        """Return the workspace's default datastore. Raises `AzureError`, also when there is none."""
        for one in self._list({"isDefault": "true"}):
            return one
        raise AzureError(f"The workspace {self.name!r} has no default datastore. Name one, or set one in Azure Machine Learning studio.")

    def get_datastore(self, name: str) -> Datastore:
        """Return a datastore by its name. Raises `AzureError`, also when there is none."""
        return _datastore(self._ask("GET", f"/datastores/{name}", f"The datastore {name!r} of the workspace {self.name!r} cannot be had"))

    def secrets_of(self, name: str) -> dict[str, Any]:
        """Return the key or SAS of a datastore: `secretsType` with `key` or `sasToken`. {} when it has none, for those who log in by identity."""
        found = self.get_datastore(name).properties.get("credentials") or {}
        if found.get("credentialsType") in (None, "None"):
            return {}
        return self._ask("POST", f"/datastores/{name}/listSecrets", f"The key of the datastore {name!r} of the workspace {self.name!r} cannot be had")

    def register_blob_container(self, name: str, properties: dict[str, Any], *secrets: Any) -> AzureBlobDatastore:
        """Create or replace a datastore of type AzureBlob and return it; `secrets` of `properties` are kept out of errors. Raises `AzureError`."""
        what = f"The datastore {name!r} of the workspace {self.name!r} cannot be registered"
        made = self._ask("PUT", f"/datastores/{name}", what, {"properties": {"datastoreType": "AzureBlob", **properties}}, None, *secrets)
        found = _datastore(made)
        return AzureBlobDatastore(found.name, found.datastore_type, found.is_default, found.properties)

    def has_datastore(self, name: str) -> bool:
        """Say whether there is a datastore of this name. Raises `AzureError`."""
        return name in self.datastores

    def _list(self, query: dict[str, str]) -> Iterator[Datastore]:
        what = f"The datastores of the workspace {self.name!r} cannot be listed"
        page = self._ask("GET", "/datastores", what, None, query)
        yield from map(_datastore, page["value"])
        while page.get("nextLink"):
            page = self._send("GET", page["nextLink"], what, None, None)
            yield from map(_datastore, page["value"])

    def _ask(self, method: str, path: str, what: str, body: Any = None, query: dict[str, str] | None = None, *secrets: Any) -> dict[str, Any]:
        return self._send(method, self._path + path, what, body, {"api-version": API_VERSION, **(query or {})}, *secrets)

    def _send(self, method: str, url: str, what: str, body: Any, query: dict[str, str] | None, *secrets: Any) -> dict[str, Any]:
        from azure.core.rest import HttpRequest

        with explaining(what, *secrets):
            address = url if "://" in url else f"{AzureSettings().resource_manager_url.rstrip('/')}{url}"
            answer = self._client.send_request(HttpRequest(method, address, params=query, json=body))
            answer.raise_for_status()
            return answer.json() if answer.content else {}


def _datastore(told: dict[str, Any]) -> Datastore:
    properties = told["properties"]
    return Datastore(told["name"], properties["datastoreType"], bool(properties.get("isDefault")), properties)
