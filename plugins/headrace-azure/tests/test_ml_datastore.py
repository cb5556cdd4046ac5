"""Datastores of Azure Machine Learning: listed, registered, and filled with files, on Azurite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from headrace import flow
from headrace_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials, AzureMlCredentials
from headrace_azure.errors import AzureError
from headrace_azure.ml_datastore import ml_get_datastore, ml_list_datastores, ml_register_datastore_blob_container, ml_upload_datastore

from .azurite import ACCOUNT, KEY, Azurite
from .certificates import Certificates
from .entra import CLIENT, SECRET, TENANT, Entra
from .machine_learning import STORAGE_HOST, MachineLearning, machine_learning, storage_proxy


@pytest.fixture
def lab(tls: Certificates, authority: Entra, monkeypatch: pytest.MonkeyPatch) -> Iterator[MachineLearning]:
    with machine_learning(tls) as found:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_RESOURCE_MANAGER_URL", found.url)
        yield found


@pytest.fixture
def login(lab: MachineLearning) -> AzureMlCredentials:
    return AzureMlCredentials.model_validate(
        {
            "tenant_id": TENANT,
            "service_principal_id": CLIENT,
            "service_principal_password": SECRET,
            "subscription_id": "sub-one",
            "resource_group": "group",
            "workspace_name": "lab",
        }
    )


@pytest.fixture
def account(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureBlobStorageCredentials]:
    """Give credentials of the account by a name such as Azure's."""
    port = urlsplit(azurite.url).port
    assert port is not None
    with storage_proxy(port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://{STORAGE_HOST};"
        yield AzureBlobStorageCredentials.model_validate({"connection_string": text})


def test_datastores_are_registered_listed_and_had(lab: MachineLearning, login: AzureMlCredentials, account: AzureBlobStorageCredentials) -> None:
    @flow
    def prepares() -> tuple[list[str], str, str]:
        ml_register_datastore_blob_container("new-container", login, account, create_container_if_not_exists=True)
        ml_register_datastore_blob_container("new-container", login, account, datastore_name="second")
        lab.datastores["second"]["isDefault"] = True
        return list(ml_list_datastores(login)), ml_get_datastore(login).name, ml_get_datastore(login, "new-container").account_url

    assert prepares() == (["new-container", "second"], "second", f"http://{STORAGE_HOST}")
    assert account.get_container_client("new-container").exists()
    assert lab.datastores["second"]["credentials"]["secrets"] == {"secretsType": "AccountKey", "key": KEY}
    with pytest.raises(ValueError, match="overwrite=True"):
        ml_register_datastore_blob_container.fn("new-container", login, account)
    with pytest.raises(ValueError, match="studio"):
        ml_register_datastore_blob_container.fn("new-container", login, account, overwrite=True, set_as_default=True)


def test_files_are_uploaded(
    lab: MachineLearning,
    login: AzureMlCredentials,
    account: AzureBlobStorageCredentials,
    make_container: Callable[[], str],
    tmp_path: Path,
) -> None:
    name = make_container()
    ml_register_datastore_blob_container.fn(name, login, account, datastore_name="files")
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "a.csv").write_text("A")
    (data / "deep" / "b.csv").write_text("B")

    reference = ml_upload_datastore.fn(data, login, target_path="raw", datastore_name="files")
    assert (reference.path, reference.uri) == ("raw", "azureml://datastores/files/paths/raw")
    ml_upload_datastore.fn(str(data / "a.csv"), login, datastore_name="files")
    ml_upload_datastore.fn([data / "a.csv", data / "deep" / "b.csv"], login, relative_root=tmp_path, datastore_name="files")
    container = AzureBlobStorageContainer(container_name=name, credentials=account)
    assert container.list_paths() == ["a.csv", "data/a.csv", "data/deep/b.csv", "raw/a.csv", "raw/deep/b.csv"]

    (data / "a.csv").write_text("new")
    ml_upload_datastore.fn(data, login, target_path="raw", datastore_name="files")
    assert container.read_path("raw/a.csv") == b"A"
    ml_upload_datastore.fn(data, login, target_path="raw", datastore_name="files", overwrite=True)
    assert container.read_path("raw/a.csv") == b"new"
    with pytest.raises(ValueError, match="not below"):
        ml_upload_datastore.fn(data, login, relative_root=tmp_path / "other", datastore_name="files")


def test_a_sas_opens_a_datastore(
    lab: MachineLearning,
    login: AzureMlCredentials,
    account: AzureBlobStorageCredentials,
    make_container: Callable[[], str],
    tmp_path: Path,
) -> None:
    name, until = make_container(), datetime.now(UTC) + timedelta(minutes=5)
    allowed = ContainerSasPermissions(read=True, write=True, create=True, list=True)
    sas = generate_container_sas(ACCOUNT, name, account_key=KEY, permission=allowed, expiry=until)
    text = f"BlobEndpoint=http://{STORAGE_HOST};SharedAccessSignature={sas}"
    by_sas = AzureBlobStorageCredentials.model_validate({"connection_string": text})
    made = ml_register_datastore_blob_container.fn(name, login, by_sas)
    assert "sig=" not in repr(made)
    assert lab.datastores[name]["credentials"]["secrets"] == {"secretsType": "Sas", "sasToken": sas}
    (tmp_path / "a.csv").write_text("A")
    ml_upload_datastore.fn(tmp_path / "a.csv", login, datastore_name=name)
    assert AzureBlobStorageContainer(container_name=name, credentials=account).read_path("a.csv") == b"A"


def test_a_service_principal_opens_a_datastore(lab: MachineLearning, login: AzureMlCredentials) -> None:
    principal = AzureBlobStorageCredentials.model_validate(
        {"account_url": "https://ours.blob.core.windows.net/", "tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}
    )
    made = ml_register_datastore_blob_container.fn("reports", login, principal, datastore_name="by-principal")
    assert made.account_url == "https://ours.blob.core.windows.net"
    kept = lab.datastores["by-principal"]["credentials"]
    assert (kept["credentialsType"], kept["clientId"], kept["tenantId"]) == ("ServicePrincipal", CLIENT, TENANT)
    assert SECRET not in repr(made)
    with pytest.raises(ValueError, match="key, a SAS or a service principal"):
        ml_register_datastore_blob_container.fn("reports", login, AzureBlobStorageCredentials(account_url="https://ours.blob.core.windows.net/"))


def test_files_go_to_datastores_of_blob_storage_alone(lab: MachineLearning, login: AzureMlCredentials, tmp_path: Path) -> None:
    lab.datastores["share"] = {"isDefault": True, "datastoreType": "AzureFile", "credentials": {"credentialsType": "None"}}
    with pytest.raises(ValueError, match="'share' is of type AzureFile"):
        ml_upload_datastore.fn(tmp_path, login)


def test_what_is_missing_is_named(login: AzureMlCredentials) -> None:
    with pytest.raises(AzureError, match="'none' of the workspace 'lab'.*Could not find datastore"):
        ml_get_datastore.fn(login, "none")
    with pytest.raises(AzureError, match="no default datastore"):
        ml_get_datastore.fn(login)
    elsewhere = login.model_copy(update={"workspace_name": "elsewhere"})
    with pytest.raises(AzureError, match="'elsewhere'.*subscription and resource group"):
        ml_list_datastores.fn(elsewhere)


def test_a_wrong_password_is_told_and_not_shown(login: AzureMlCredentials) -> None:
    wrong = AzureMlCredentials.model_validate({**login.model_dump(context={"include_secrets": True}), "service_principal_password": "wrong~password"})
    with pytest.raises(AzureError, match="AADSTS7000215") as caught:
        ml_list_datastores.fn(wrong)
    assert "wrong~password" not in f"{caught.value} {wrong!r}"
