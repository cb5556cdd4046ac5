"""Ways to log in to Blob Storage, what only our block and tasks do, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from headrace import flow
from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreError, TransferError
from headrace.client.orchestration import get_client
from headrace_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from headrace_azure.blob_storage import ablob_storage_download, blob_storage_download, blob_storage_list, blob_storage_upload

from .azurite import ACCOUNT, KEY, Azurite
from .entra import SECRET, Entra


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients give up soon."""
    monkeypatch.setattr("headrace_azure.credentials.RETRIES", 0)
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_CONNECTION_TIMEOUT_SECONDS", "1")
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_READ_TIMEOUT_SECONDS", "1")


# --- logging in


def test_a_service_principal_logs_in_with_a_token(azurite_with_tokens: Azurite, authority: Entra) -> None:
    credentials = AzureBlobStorageCredentials(account_url=azurite_with_tokens.url, **authority.principal)
    name = f"container-{uuid4().hex}"
    credentials.get_container_client(name).create_container()
    container = AzureBlobStorageContainer(container_name=name, credentials=credentials)
    container.write_path("a", b"1")
    assert container.read_path("a") == b"1"
    assert authority.asked == ["https://storage.azure.com"]
    credentials.close()


def test_the_default_credential_is_what_the_environment_has(azurite_with_tokens: Azurite, authority: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in authority.principal.items():
        monkeypatch.setenv(f"AZURE_{name.upper()}", value)
    credentials = AzureBlobStorageCredentials(account_url=azurite_with_tokens.url)
    assert [found.name for found in credentials.get_client().list_containers(name_starts_with="none-such")] == []
    assert authority.asked == ["https://storage.azure.com"]


def test_a_wrong_secret_is_told_and_not_shown(azurite_with_tokens: Azurite, authority: Entra) -> None:
    wrong = {**authority.principal, "client_secret": "wrong~private.secret"}
    container = AzureBlobStorageContainer(
        container_name="some", credentials=AzureBlobStorageCredentials(account_url=azurite_with_tokens.url, **wrong)
    )
    with pytest.raises(ObjectStoreError, match="AADSTS7000215.*Check the tenant") as caught:
        container.read_path("a")
    assert "wrong~private" not in f"{caught.value} {container!r}"
    assert SECRET not in str(caught.value)


def test_nothing_to_log_in_with_is_told(azurite_with_tokens: Azurite, authority: Entra, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")  # no machine's identity is looked for
    container = AzureBlobStorageContainer(container_name="some", credentials=AzureBlobStorageCredentials(account_url=azurite_with_tokens.url))
    with pytest.raises(ObjectStoreError, match="az login") as caught:
        container.read_path("a")
    assert "troubleshoot" not in str(caught.value)  # the SDK logs what it tried


def test_a_sas_allows_what_it_says(azurite: Azurite, container: AzureBlobStorageContainer) -> None:
    container.write_path("/a", b"1")
    until = datetime.now(UTC) + timedelta(minutes=5)
    sas = generate_container_sas(ACCOUNT, container.container_name, account_key=KEY, permission=ContainerSasPermissions(read=True), expiry=until)
    text = f"BlobEndpoint={azurite.url};SharedAccessSignature={sas}"
    reader = AzureBlobStorageContainer(
        container_name=container.container_name, credentials=AzureBlobStorageCredentials.model_validate({"connection_string": text})
    )
    assert reader.read_path("a") == b"1"
    with pytest.raises(ObjectStoreError, match="what the SAS allows") as caught:
        reader.write_path("b", b"2")
    assert "sig=" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "connection_string or account_url"),
        ({"account_url": "https://a", "client_id": "c"}, "tenant_id and client_secret missing"),
        ({"connection_string": "s", "client_id": "c", "tenant_id": "t", "client_secret": "s"}, "comes with its own key"),
        ({"account_url": "https://a/?sv=1&sig=very-private"}, "account_url holds a SAS"),
    ],
)
def test_credentials_have_to_be_whole(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        AzureBlobStorageCredentials.model_validate(given)
    assert "very-private" not in str(caught.value)


def test_a_connection_string_that_is_none_is_told_without_showing_it() -> None:
    credentials = AzureBlobStorageCredentials.model_validate({"connection_string": "private nonsense"})
    with pytest.raises(ValueError, match="Access keys") as caught:
        credentials.get_client()
    assert "private nonsense" not in str(caught.value)


# --- what is wrong


def test_what_is_missing_is_named(container: AzureBlobStorageContainer, credentials: AzureBlobStorageCredentials) -> None:
    with pytest.raises(ObjectNotFound, match="base/missing"):
        container.read_path("missing")
    nowhere = AzureBlobStorageContainer(container_name="no-such-container", credentials=credentials)
    for call in (lambda: nowhere.read_path("a"), lambda: nowhere.write_path("a", b""), nowhere.list_blobs):
        with pytest.raises(ObjectStoreError, match="no container .*no-such-container"):
            call()


def test_a_wrong_key_is_told_and_not_shown(azurite: Azurite) -> None:
    key = f"AAAA{KEY[4:]}"
    text = azurite.connection_string.replace(KEY, key)
    wrong = AzureBlobStorageContainer(container_name="some", credentials=AzureBlobStorageCredentials.model_validate({"connection_string": text}))
    with pytest.raises(ObjectStoreError, match="or the key or SAS, and whether they have expired") as caught:
        wrong.write_path("a", b"1")
    assert key not in f"{caught.value} {wrong!r}"


def test_an_account_that_is_not_there_is_told(impatient: None) -> None:
    text = f"AccountName=a;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:9/a"
    gone = AzureBlobStorageContainer(container_name="some", credentials=AzureBlobStorageCredentials.model_validate({"connection_string": text}))
    with pytest.raises(ObjectStoreError, match="whether this machine may reach it"):
        gone.read_path("a")
    assert KEY not in repr(gone)


def test_a_signature_is_shown_by_no_error(impatient: None) -> None:
    text = "BlobEndpoint=http://127.0.0.1:9/a;SharedAccessSignature=sv=2024-11-04&sp=r&sig=very%2Fprivate%3D"
    gone = AzureBlobStorageContainer(container_name="some", credentials=AzureBlobStorageCredentials.model_validate({"connection_string": text}))
    with pytest.raises(ObjectStoreError, match="Connection refused") as caught:
        gone.read_path("a")
    shown = "".join(traceback.format_exception(caught.value))  # with the causes, as in the log of a run that failed
    assert "Max retries exceeded with url" in shown
    assert "very%2Fprivate" not in shown
    assert "very/private" not in shown


def test_a_service_that_hangs_is_given_up(impatient: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = f"AccountName=a;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{silent.getsockname()[1]}/a"
        hung = AzureBlobStorageContainer(container_name="some", credentials=AzureBlobStorageCredentials.model_validate({"connection_string": text}))
        with pytest.raises(ObjectStoreError, match="READ_TIMEOUT_SECONDS"):
            hung.write_path("a", b"1")


# --- the block


def test_blobs_are_listed_by_their_whole_names(container: AzureBlobStorageContainer) -> None:
    container.write_path("/outside", b"1")
    container.write_path("deep/inside", b"1")
    container.credentials.get_blob_client(container.container_name, "base/folder").upload_blob(b"", metadata={"hdi_isfolder": "true"})
    assert container.list_blobs() == ["base/deep/inside", "outside"]
    assert container.list_paths() == ["deep/inside"]


def test_uploads_replace_unless_told_not_to(container: AzureBlobStorageContainer) -> None:
    container.write_path("a", b"1")
    container.upload_from_file_object(io.BytesIO(b"2"), "a")
    assert container.read_path("a") == b"2"
    with pytest.raises(ResourceExistsError):
        container.upload_from_file_object(io.BytesIO(b"3"), "a", overwrite=False)


def test_one_blob_that_fails_is_named_and_the_others_are_there(container: AzureBlobStorageContainer, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_text(name)
    container.write_path("b", b"old")
    with pytest.raises(TransferError, match="1 of 3 failed"):
        container.upload_from_folder(tmp_path / "files", "", overwrite=False)
    assert container.list_blobs() == ["base/a", "base/b", "base/c"]


def test_long_transfers_tell_how_far_they_are(
    container: AzureBlobStorageContainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("headrace.objects.stores.transfers.FIRST_NEWS_SECONDS", 0.0)
    monkeypatch.setattr("headrace.objects.stores.transfers.NEWS_SECONDS", 0.0)
    (tmp_path / "big").write_bytes(bytes(20 * 1024 * 1024))
    with caplog.at_level(logging.INFO):
        container.upload_from_path(tmp_path / "big", "big")
        container.download_object_to_path("big", tmp_path / "again")
    for word in ("Upload to", "Download of"):
        told = [line for line in caplog.messages if line.startswith(f"{word} {container.driver.place}/base/big:")]
        assert len(told) >= 3  # pieces of 4 MiB, the first of a download 8 MiB
        assert "20.0 MiB of 20.0 MiB (100 %)" in told[-1]
    assert (tmp_path / "again").stat().st_size == 20 * 1024 * 1024


def test_content_types_follow_names(container: AzureBlobStorageContainer) -> None:
    container.write_path("report.html", b"<p>")
    found = container.credentials.get_blob_client(container.container_name, "base/report.html").get_blob_properties()
    assert found.content_settings.content_type == "text/html"


def test_results_of_flows_are_kept_there(container: AzureBlobStorageContainer) -> None:
    container.save("results")

    @flow(persist_result=True, result_storage=container)
    def counts() -> list[int]:
        return [1, 2]

    state = counts(return_state=True)
    assert state.result() == [1, 2]
    assert len(container.list_blobs()) == 1


# --- tasks


def test_tasks_store_list_and_fetch_blobs(
    credentials: AzureBlobStorageCredentials, make_container: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    name = make_container()

    @flow
    def moves() -> tuple[bytes, list[str], str]:
        with caplog.at_level(logging.INFO):
            blob_storage_upload(b"1", name, credentials, blob="a.txt")
            random = blob_storage_upload(b"2", name, credentials)
        found = blob_storage_list(name, credentials, name_starts_with="a.", include=["metadata"])
        return blob_storage_download(name, "a.txt", credentials), [one.name for one in found], random

    content, names, random = moves()
    assert (content, names) == (b"1", ["a.txt"])
    assert len(random) == 36
    with pytest.raises(ResourceExistsError):
        blob_storage_upload.fn(b"1", name, credentials, blob="a.txt")
    blob_storage_upload.fn(b"3", name, credentials, blob="a.txt", overwrite=True)
    assert KEY not in caplog.text


async def _awaited(name: str, credentials: AzureBlobStorageCredentials) -> bytes:
    async with credentials:
        return await ablob_storage_download(name, "a", credentials)


def test_async_flows_wait_for_blobs(credentials: AzureBlobStorageCredentials, make_container: Callable[[], str]) -> None:
    name = make_container()
    blob_storage_upload.fn(b"1", name, credentials, blob="a")
    assert asyncio.run(_awaited(name, credentials)) == b"1"


def test_tasks_by_their_documented_names_are_awaited_in_async_flows(
    credentials: AzureBlobStorageCredentials, make_container: Callable[[], str]
) -> None:
    name = make_container()

    @flow
    async def moves() -> tuple[Any, ...]:
        await blob_storage_upload(b"1", name, credentials, blob="a")
        patient = blob_storage_download.with_options(name="patient", retries=1)
        found = await blob_storage_download(name, "a", credentials, return_state=True)
        return await patient(name, "a", credentials), blob_storage_download.submit(name, "a", credentials).result(), found.name

    assert asyncio.run(moves()) == (b"1", b"1", "Completed")
    with get_client(sync_client=True) as client:
        assert sorted(run.name.rpartition("-")[0] for run in client.read_task_runs()) == [
            "blob_storage_download",
            "blob_storage_download",
            "blob_storage_upload",
            "patient",
        ]
