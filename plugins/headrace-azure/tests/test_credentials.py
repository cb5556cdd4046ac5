"""Credentials for Resource Manager, DevOps and PostgreSQL, and code from DevOps."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.deployments.steps import git_clone
from headrace.testing.server import server_process
from headrace_azure import AzureContainerInstanceCredentials, AzureDevopsCredentials, AzureDevopsRepository
from headrace_azure.errors import AzureError
from headrace_azure.postgres import set_database_connection_params

from .entra import CLIENT, Entra, entra
from .git_server import git_server

TOKEN = "very-private-token"
POSTGRES = "postgresql://server-identity@db.postgres.database.azure.com/headrace"


# --- Resource Manager


def test_clients_are_made_once_for_each_subscription(authority: Entra) -> None:
    credentials = AzureContainerInstanceCredentials.model_validate(authority.principal)
    groups = credentials.get_container_client("one")
    assert credentials.get_container_client("one") is groups
    assert credentials.get_container_client("two") is not groups
    assert credentials.get_resource_client("one").deployments is not None
    assert "very~private" not in repr(credentials)


def test_a_service_principal_is_whole_or_not_there() -> None:
    with pytest.raises(ValueError, match="client_id and client_secret missing"):
        AzureContainerInstanceCredentials(tenant_id="t")
    assert AzureContainerInstanceCredentials(credential_kwargs={"managed_identity_client_id": CLIENT}).get_container_client("one")


# --- DevOps


def test_the_token_becomes_a_header() -> None:
    header = AzureDevopsCredentials.model_validate({"token": TOKEN}).get_auth_header()
    assert base64.b64decode(header["Authorization"].removeprefix("Basic ")).decode() == f":{TOKEN}"
    with pytest.raises(ValueError, match="personal access token"):
        AzureDevopsCredentials().get_auth_header()


def test_an_organization_in_the_address_is_no_login() -> None:
    url = "https://myorg@dev.azure.com/myorg/myproject/_git/myrepo"
    public = AzureDevopsRepository(repository=url).remote()
    assert (public.url, public.login) == ("https://dev.azure.com/myorg/myproject/_git/myrepo", None)
    private = AzureDevopsRepository(repository=url, credentials=AzureDevopsCredentials.model_validate({"token": TOKEN})).remote()
    assert private.url == public.url
    assert private.login is not None and private.login.password == TOKEN
    assert TOKEN not in repr(private)


def test_code_of_a_branch_is_brought(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(origin)]
    (origin / "flows").mkdir(parents=True)
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True, timeout=30)
    (origin / "flows" / "a.py").write_text("A")
    for words in (["add", "-A"], ["commit", "-qm", "one"], ["branch", "develop"]):
        subprocess.run([*git, *words], check=True, timeout=30)
    AzureDevopsRepository(repository=origin.as_uri(), reference="develop").get_directory("flows", str(tmp_path / "to"))
    assert (tmp_path / "to" / "a.py").read_text() == "A"
    with pytest.raises(OSError, match="no-such-branch"):
        AzureDevopsRepository(repository=origin.as_uri(), reference="no-such-branch").get_directory(None, str(tmp_path / "none"))


@pytest.fixture
def private(tmp_path: Path) -> Iterator[str]:
    """Give the address of a repository that takes a token; as Azure DevOps shows it, it begins with the organization."""
    origin = tmp_path / "served" / "myorg" / "_git" / "flows"
    origin.mkdir(parents=True)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(origin)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True, timeout=30)
    for number in (1, 2):
        (origin / "flow.py").write_text(f"VERSION = {number}")
        subprocess.run([*git, "add", "-A"], check=True, timeout=30)
        subprocess.run([*git, "commit", "-qm", f"{number}"], check=True, timeout=30)
    subprocess.run([*git, "tag", "v1", "HEAD~1"], check=True, timeout=30)
    with git_server(tmp_path / "served", TOKEN) as address:
        yield f"{address.replace('http://', 'http://myorg@')}/myorg/_git/flows"


def test_a_token_opens_a_private_repository_and_is_left_nowhere(private: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, programs = tmp_path / "seen", tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(f'#!/bin/sh\necho "$@" >> {seen}\nenv >> {seen}\nPATH={os.environ["PATH"]} exec git "$@"\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    repository = AzureDevopsRepository(repository=private, credentials=AzureDevopsCredentials.model_validate({"token": TOKEN}))
    repository.get_directory(local_path=str(tmp_path / "newest"))
    assert (tmp_path / "newest" / "flow.py").read_text() == "VERSION = 2"
    asyncio.run(repository.model_copy(update={"reference": "v1"}).aget_directory(local_path=str(tmp_path / "tagged")))
    assert (tmp_path / "tagged" / "flow.py").read_text() == "VERSION = 1"
    assert "clone" in seen.read_text()
    assert TOKEN not in seen.read_text() + (tmp_path / "newest" / ".git" / "config").read_text()


def test_a_token_that_is_wrong_or_missing_is_told_and_not_shown(private: str, tmp_path: Path) -> None:
    wrong = AzureDevopsRepository(repository=private, credentials=AzureDevopsCredentials.model_validate({"token": "another-private-token"}))
    with pytest.raises(OSError, match="Authentication failed") as caught:
        wrong.get_directory(local_path=str(tmp_path / "to"))
    assert "another-private-token" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(OSError, match="give credentials"):
        AzureDevopsRepository(repository=private).get_directory(local_path=str(tmp_path / "to"))


def test_steps_clone_with_the_same_token(private: str) -> None:
    made: dict[str, str] = git_clone(private.replace("myorg@", ""), credentials=AzureDevopsCredentials.model_validate({"token": TOKEN}))
    assert Path(made["directory"], "flow.py").read_text() == "VERSION = 2"


# --- PostgreSQL


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    """Give the metadata service of a machine in Azure that has a managed identity."""
    with entra(None) as found:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", found.url)
        yield found


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_POSTGRES_MANAGED_IDENTITY_ENABLED", "true")


def password_of(url: str = POSTGRES) -> Callable[[], str]:
    given: Any = set_database_connection_params(url)
    return given["password"]


def test_each_connection_has_a_token_that_is_good(machine: Entra, enabled: None) -> None:
    password = password_of()
    assert password().count(".") == 2
    assert password() == password()
    assert machine.asked == ["https://ossrdbms-aad.database.windows.net"]  # once: the token is good for a day


def test_a_server_logs_in_to_its_database_with_tokens(machine: Entra, enabled: None, postgres_url: str, tmp_path: Path) -> None:
    environment = {
        "HEADRACE_HOME": str(tmp_path / "server"),
        "HEADRACE_PLUGINS_ENABLED": "true",
        "HEADRACE_PLUGINS_ALLOW": "azure",
        "HEADRACE_SERVER_DATABASE_CONNECTION_URL": postgres_url,
    }
    with server_process(environment=environment):
        assert set(machine.asked) == {"https://ossrdbms-aad.database.windows.net"}


def test_an_identity_of_the_users_choice_is_asked_for(machine: Entra, enabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_POSTGRES_MANAGED_IDENTITY_CLIENT_ID", CLIENT)
    password_of()()
    assert machine.asked == [f"https://ossrdbms-aad.database.windows.net {CLIENT}"]


def test_other_databases_and_servers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set_database_connection_params(POSTGRES) is None
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_POSTGRES_MANAGED_IDENTITY_ENABLED", "true")
    assert set_database_connection_params("sqlite:////tmp/headrace.db") is None


def test_a_machine_without_an_identity_is_told(enabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_CONNECTION_TIMEOUT_SECONDS", "1")
    monkeypatch.setattr("headrace_azure.postgres.RETRIES", 0)
    with pytest.raises(AzureError, match="no token for PostgreSQL.*managed identity"):
        password_of()()
