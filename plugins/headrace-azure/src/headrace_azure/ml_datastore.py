"""Tasks for datastores of Azure Machine Learning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headrace.blocks.credentials import revealed
from headrace_azure.blob_storage import AzureBlobStorageContainer
from headrace_azure.credentials import AzureBlobStorageCredentials, AzureMlCredentials
from headrace_azure.ml_workspace import AzureBlobDatastore, DataReference, Datastore, Workspace
from headrace_azure.tasks import logger, twin_tasks

__all__ = [
    "AzureBlobDatastore",
    "DataReference",
    "Datastore",
    "aml_get_datastore",
    "aml_list_datastores",
    "aml_register_datastore_blob_container",
    "aml_upload_datastore",
    "ml_get_datastore",
    "ml_list_datastores",
    "ml_register_datastore_blob_container",
    "ml_upload_datastore",
]

NAMED_MAX = 20
"""Files that a log line names."""


def _list_datastores(ml_credentials: AzureMlCredentials) -> dict[str, Datastore]:
    """Return the datastores of the workspace by their names. Raises `AzureError` when Azure refuses or does not answer."""
    logger().info("Listing datastores")
    return ml_credentials.get_workspace().datastores


def _get_datastore(ml_credentials: AzureMlCredentials, datastore_name: str | None = None) -> Datastore:
    """Return a datastore of the workspace: the one of this name, or the default one. Raises `AzureError`, also when there is none."""
    logger().info("Getting datastore %s", datastore_name or "(the default one)")
    return _datastore(ml_credentials.get_workspace(), datastore_name)


def _upload_datastore(
    path: str | Path | list[str | Path],
    ml_credentials: AzureMlCredentials,
    target_path: str | Path | None = None,
    relative_root: str | Path | None = None,
    datastore_name: str | None = None,
    overwrite: bool = False,
) -> DataReference:
    """Upload local files to a datastore and return where they are.

    `path`: a file, a directory, or a list of files. `target_path`: the folder of the datastore; default: its top. `relative_root`: what is left out
    of a file's path to get its name there: /path/to/file.txt with /path becomes to/file.txt. Default: the directory itself, or that of the files.
    `datastore_name`: default: the workspace's default datastore. Files that are there are left as they are, unless `overwrite`.

    Raises `AzureError`, `ObjectStoreError` when the storage cannot be used, `TransferError` naming each file that failed, `FileNotFoundError`, and
    `ValueError` for a file outside `relative_root`.
    """
    workspace = ml_credentials.get_workspace()
    datastore = _datastore(workspace, datastore_name)
    folder = Path(target_path or "").as_posix().strip("/").removeprefix(".")
    store = AzureBlobStorageContainer(
        container_name=str(datastore.properties.get("containerName")),
        base_folder=folder or None,
        credentials=_storage_login(workspace, datastore, ml_credentials),
    )
    files = _files(path, relative_root)
    try:
        present = set[str]() if overwrite else files.keys() & set(store.list_paths())
        if present:
            logger().info("%s of the files are there and are left as they are: %s", len(present), ", ".join(sorted(present)[:NAMED_MAX]))
        logger().info("Uploading %s files to the datastore %s", len(files) - len(present), datastore.name)
        store.upload_files({name: file for name, file in files.items() if name not in present})
    finally:
        store.close()
    return DataReference(datastore, folder)


def _register_datastore_blob_container(
    container_name: str,
    ml_credentials: AzureMlCredentials,
    blob_storage_credentials: AzureBlobStorageCredentials,
    datastore_name: str | None = None,
    create_container_if_not_exists: bool = False,
    overwrite: bool = False,
    set_as_default: bool = False,
) -> AzureBlobDatastore:
    """Register a container of Blob Storage as a datastore of the workspace, and return that.

    `blob_storage_credentials` hold a connection string with a key or a SAS, or a service principal: by those the workspace reaches the container.
    `datastore_name`: default: the container's. `overwrite`: replace a datastore of this name.

    Raises `AzureError`, and `ValueError` for a name that is taken, for credentials that cannot be kept in a datastore, and for `set_as_default`:
    Azure Resource Manager cannot do that. Do it in Azure Machine Learning studio.
    """
    if set_as_default:
        raise ValueError(
            "`set_as_default` is not offered: Azure Resource Manager only tells which datastore is the default. Set it in Azure Machine Learning "
            "studio, or name the datastore in tasks."
        )
    name = datastore_name or container_name
    workspace = ml_credentials.get_workspace()
    if not overwrite and workspace.has_datastore(name):
        raise ValueError(f"There is a datastore {name!r} in the workspace {workspace.name!r}. Choose another name, or give overwrite=True.")
    if create_container_if_not_exists:
        client = blob_storage_credentials.get_container_client(container_name)
        if not client.exists():
            client.create_container()
    logger().info("Registering the container %s as the datastore %s", container_name, name)
    properties, secrets = _properties(container_name, blob_storage_credentials)
    return workspace.register_blob_container(name, properties, secrets, blob_storage_credentials)


def _datastore(workspace: Workspace, name: str | None) -> Datastore:
    return workspace.get_default_datastore() if name is None else workspace.get_datastore(name)


def _storage_login(workspace: Workspace, datastore: Datastore, ml_credentials: AzureMlCredentials) -> AzureBlobStorageCredentials:
    """Return credentials for a datastore's account: its own key or SAS, else the service principal of the workspace."""
    url, secrets = datastore.account_url, workspace.secrets_of(datastore.name)
    if secrets.get("key"):
        text = f"AccountName={datastore.properties['accountName']};AccountKey={secrets['key']};BlobEndpoint={url};"
        return AzureBlobStorageCredentials.model_validate({"connection_string": text})
    if secrets.get("sasToken"):
        text = f"BlobEndpoint={url};SharedAccessSignature={secrets['sasToken'].lstrip('?')};"
        return AzureBlobStorageCredentials.model_validate({"connection_string": text})
    return AzureBlobStorageCredentials(
        account_url=url,
        tenant_id=ml_credentials.tenant_id,
        client_id=ml_credentials.service_principal_id,
        client_secret=ml_credentials.service_principal_password,
    )


def _files(path: str | Path | list[str | Path], relative_root: str | Path | None) -> dict[str, Path]:
    """Return the files to upload by their names on the datastore."""
    given = [Path(one).expanduser().absolute() for one in (path if isinstance(path, list) else [path])]
    missing = [str(one) for one in given if not one.exists()]
    if missing:
        raise FileNotFoundError(f"There is nothing to upload at {', '.join(missing)}.")
    if relative_root is not None:
        root = Path(relative_root).expanduser().absolute()
    elif len(given) == 1:
        root = given[0] if given[0].is_dir() else given[0].parent
    else:
        root = Path(os.path.commonpath([one.parent for one in given]))
    files = [file for one in given for file in (sorted(one.rglob("*")) if one.is_dir() else [one]) if file.is_file()]
    outside = [str(file) for file in files if not file.is_relative_to(root)]
    if outside:
        raise ValueError(f"{outside[0]} is not below the relative_root {str(root)!r}.")
    return {file.relative_to(root).as_posix(): file for file in files}


def _properties(container: str, credentials: AzureBlobStorageCredentials) -> tuple[dict[str, Any], str]:
    """Return the properties of a datastore for a container, and the secret among them."""
    text = str(revealed(credentials.connection_string) or "")
    parts: dict[str, str] = {name: value for name, found, value in (one.partition("=") for one in text.split(";")) if found}
    url = urlsplit(parts.get("BlobEndpoint") or credentials.account_url or "")
    host = url.hostname or f"{parts.get('AccountName', '')}.blob.{parts.get('EndpointSuffix', 'core.windows.net')}"
    account, _, endpoint = host.partition(".blob.")
    properties: dict[str, Any] = {
        "accountName": parts.get("AccountName") or account,
        "containerName": container,
        "endpoint": endpoint or "core.windows.net",
        "protocol": url.scheme or parts.get("DefaultEndpointsProtocol", "https"),
    }
    if "AccountKey" in parts:
        kind, secret, login = "AccountKey", parts["AccountKey"], {"key": parts["AccountKey"]}
    elif "SharedAccessSignature" in parts:
        kind, secret, login = "Sas", parts["SharedAccessSignature"], {"sasToken": parts["SharedAccessSignature"]}
    elif credentials.client_secret is not None:
        kind, secret = "ServicePrincipal", credentials.client_secret.get_secret_value()
        login = {"clientSecret": secret}
        properties["credentials"] = {"clientId": credentials.client_id, "tenantId": credentials.tenant_id}
    else:
        raise ValueError(
            "A datastore needs a key, a SAS or a service principal: give a connection string, or tenant_id, client_id and client_secret."
        )
    more = properties.get("credentials", {})
    properties["credentials"] = {"credentialsType": kind, **more, "secrets": {"secretsType": kind, **login}}
    return properties, secret


ml_list_datastores, aml_list_datastores = twin_tasks(_list_datastores, "ml_list_datastores")
ml_get_datastore, aml_get_datastore = twin_tasks(_get_datastore, "ml_get_datastore")
ml_upload_datastore, aml_upload_datastore = twin_tasks(_upload_datastore, "ml_upload_datastore")
ml_register_datastore_blob_container, aml_register_datastore_blob_container = twin_tasks(
    _register_datastore_blob_container, "ml_register_datastore_blob_container"
)
