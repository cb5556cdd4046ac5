"""Each test has a home and a working directory of its own; the session has Azure's services, on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from docker import DockerClient

from headrace.testing.containers import DockerEngine
from headrace.testing.services import docker_engine, postgres_admin, postgres_server, postgres_url, private_docker_registry
from headrace.testing.utilities import headrace_test_harness
from headrace_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

from .azurite import Azurite, shared_azurite
from .certificates import Certificates, certificates
from .entra import Entra, entra
from .resource_manager import GROUP, SUBSCRIPTION, ResourceManager, resource_manager

__all__ = ["docker_engine", "postgres_admin", "postgres_server", "postgres_url", "private_docker_registry"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in [name for name in os.environ if name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_"))]:
        monkeypatch.delenv(name)  # nothing of this machine's own account is used by mistake
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing is there: no test reaches the real Azure
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with headrace_test_harness():
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that all processes of the session share."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "azure"


@pytest.fixture(scope="session")
def tls(shared_folder: Path) -> Certificates:
    """Give certificates of servers on this machine."""
    return certificates(shared_folder / "certificates")


@pytest.fixture(scope="session")
def azurite(shared_folder: Path) -> Iterator[Azurite]:
    """Give a Blob Storage that takes keys and SAS."""
    with shared_azurite(shared_folder / "azurite") as found:
        yield found


@pytest.fixture(scope="session")
def azurite_with_tokens(shared_folder: Path, tls: Certificates) -> Iterator[Azurite]:
    """Give a Blob Storage that takes tokens too."""
    with shared_azurite(shared_folder / "azurite-tls", tls) as found:
        yield found


@pytest.fixture(scope="session")
def entra_server(tls: Certificates) -> Iterator[Entra]:
    """Give what hands out tokens."""
    with entra(tls) as found:
        yield found


@pytest.fixture
def authority(entra_server: Entra, tls: Certificates, monkeypatch: pytest.MonkeyPatch) -> Entra:
    """Let credentials ask there, and trust the servers of the session."""
    entra_server.asked.clear()
    for name, value in authority_environment(entra_server, tls).items():
        monkeypatch.setenv(name, value)
    return entra_server


def authority_environment(found: Entra, tls: Certificates) -> dict[str, str]:
    """Return the variables by which a process asks there for tokens."""
    return {
        "HEADRACE_INTEGRATIONS_AZURE_AUTHORITY": found.url,
        "HEADRACE_INTEGRATIONS_AZURE_IS_PRIVATE_CLOUD": "true",
        "REQUESTS_CA_BUNDLE": str(tls.authority),
    }


@pytest.fixture
def credentials(azurite: Azurite) -> Iterator[AzureBlobStorageCredentials]:
    """Give credentials with the account's key."""
    found = AzureBlobStorageCredentials(connection_string=azurite.connection_string)
    yield found
    found.close()


@pytest.fixture
def make_container(credentials: AzureBlobStorageCredentials) -> Callable[[], str]:
    """Make a new, empty container, and return its name."""

    def make() -> str:
        name = f"container-{uuid4().hex}"
        credentials.get_container_client(name).create_container()
        return name

    return make


@pytest.fixture
def container(credentials: AzureBlobStorageCredentials, make_container: Callable[[], str]) -> Iterator[AzureBlobStorageContainer]:
    """Give the folder `base` of an empty container."""
    found = AzureBlobStorageContainer(container_name=make_container(), base_folder="base", credentials=credentials)
    yield found
    found.close()


@pytest.fixture
def arm(docker_engine: DockerEngine, authority: Entra, tls: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResourceManager]:
    """Give an Azure Resource Manager of the test's own, and let workers reach it with a service principal."""
    with resource_manager(DockerClient(base_url=docker_engine.address), tls) as found:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_RESOURCE_MANAGER_URL", found.url)
        yield found


@pytest.fixture
def aci_variables(arm: ResourceManager, authority: Entra) -> dict[str, Any]:
    """Give the job variables that every run needs there."""
    return {
        "resource_group_name": GROUP,
        "subscription_id": SUBSCRIPTION,
        "aci_credentials": authority.principal,
        "task_watch_poll_interval": 0.1,
    }
