"""Steps that keep code in Blob Storage, and bundles that are kept there and run from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from headrace import flow
from headrace._experimental.bundles import create_bundle_for_flow_run
from headrace.blocks.object_stores import ObjectNotFound
from headrace.client.orchestration import get_client
from headrace.settings import get_current_settings
from headrace.states import Pending
from headrace_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from headrace_azure.bundles.execute import execute_bundle_from_azure_blob_storage
from headrace_azure.bundles.upload import upload_bundle_to_azure_blob_storage
from headrace_azure.deployments.steps import pull_from_azure_blob_storage, push_to_azure_blob_storage

from .azurite import Azurite


@flow
def write_a_file() -> str:
    Path("written").write_text("by the bundle")
    return "done"


@pytest.fixture
def container(credentials: AzureBlobStorageCredentials, make_container: Callable[[], str]) -> AzureBlobStorageContainer:
    credentials.save("for-bundles", overwrite=True)
    return AzureBlobStorageContainer(container_name=make_container(), credentials=credentials)


# --- steps


def test_a_project_is_pushed_and_pulled(
    container: AzureBlobStorageContainer, azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("flows").mkdir()
    Path("flows/a.py").write_text("A")
    Path("notes.log").write_text("not pushed")
    Path(".headraceignore").write_text("*.log\n.headraceignore\n")
    given = {"connection_string": azurite.connection_string, "account_url": "https://not-used.example", "client_id": None}
    pushed = push_to_azure_blob_storage(container.container_name, "project", given)
    assert pushed == {"container": container.container_name, "folder": "project"}
    assert container.list_paths() == ["project/flows/a.py"]

    container.write_path("project-two/other", b"")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pulled = pull_from_azure_blob_storage(container.container_name, "project", container.credentials)
    assert pulled == {"container": container.container_name, "folder": "project", "directory": str(tmp_path / "elsewhere")}
    assert [str(path.relative_to(tmp_path / "elsewhere")) for path in sorted(Path.cwd().rglob("*.*"))] == ["flows/a.py"]


def test_an_ignore_file_that_is_not_there_ignores_nothing(container: AzureBlobStorageContainer) -> None:
    Path("a").write_text("A")
    push_to_azure_blob_storage(container.container_name, "p", container.credentials, ignore_file="no-such-file")
    assert container.list_paths() == ["p/a"]


def test_pulling_what_is_not_there_says_so(container: AzureBlobStorageContainer) -> None:
    with pytest.raises(ObjectNotFound, match="nowhere"):
        pull_from_azure_blob_storage(container.container_name, "nowhere", container.credentials)


# --- bundles


def _bundle(path: Path, **more: object) -> UUID:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(write_a_file, state=Pending())
    path.write_text(json.dumps({**create_bundle_for_flow_run(write_a_file, run)["bundle"], **more}))
    return run.id


def test_a_bundle_is_kept_and_run(container: AzureBlobStorageContainer, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        archive.writestr("data/input.txt", "input")
    container.upload_from_path(tmp_path / "files.zip", "files.zip")
    run_id = _bundle(tmp_path / "bundle", files_key="files.zip")
    kept = upload_bundle_to_azure_blob_storage(tmp_path / "bundle", container.container_name, "", "for-bundles")
    assert kept == {"container": container.container_name, "key": "bundle"}

    execute_bundle_from_azure_blob_storage(container.container_name, "bundle", "for-bundles")
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    assert state is not None
    assert state.is_completed()
    assert Path("written").read_text() == "by the bundle"
    assert Path("data/input.txt").read_text() == "input"


def test_what_cannot_be_uploaded_says_why(container: AzureBlobStorageContainer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        upload_bundle_to_azure_blob_storage(Path("missing"), container.container_name, "k", "for-bundles")
    (tmp_path / "b").touch()
    with pytest.raises(RuntimeError, match="no container .*none-such"):
        upload_bundle_to_azure_blob_storage(tmp_path / "b", "none-such", "k", "for-bundles")


def test_commands_end_with_one_line(container: AzureBlobStorageContainer, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("{}")
    environment = {**os.environ, "HEADRACE_HOME": str(get_current_settings().home)}

    def run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
        login = ["--azure-blob-storage-credentials-block-name", "for-bundles"]
        command = [sys.executable, "-m", f"headrace_azure.{module}", "--container", container.container_name, *login, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    kept = run("bundles.upload", "--key", "k", str(tmp_path / "b"))
    assert kept.returncode == 0, kept.stderr
    assert container.exists("k")
    failed = run("experimental.bundles.execute", "--key", "missing")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "missing" in failed.stderr
