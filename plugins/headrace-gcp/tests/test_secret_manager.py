"""Secret Manager, by the real client on a fake that is held to Google's discovery document."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden, NotFound

from headrace import flow
from headrace_gcp import GcpCredentials, GcpSecret
from headrace_gcp.secret_manager import (
    aread_secret,
    aupdate_secret,
    create_secret,
    delete_secret,
    delete_secret_version,
    read_secret,
    update_secret,
)

from .google_apis import serving
from .secret_server import SecretManager

VALUE = b"very-secret-value"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretManager]:
    with serving(SecretManager()) as found:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"secretmanager": found.url}))
        yield found


@pytest.fixture
def secret(secrets: SecretManager, credentials: GcpCredentials) -> GcpSecret:
    return GcpSecret(gcp_credentials=credentials, secret_name="login")


def test_a_secret_is_written_read_and_deleted(secret: GcpSecret, secrets: SecretManager, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    assert secret.write_secret(b"first") == "projects/project-one/secrets/login/versions/1"
    assert secret.write_secret(VALUE) == "projects/project-one/secrets/login/versions/2"
    assert secret.read_secret() == VALUE
    assert secret.model_copy(update={"secret_version": "1"}).read_secret() == b"first"
    assert asyncio.run(secret.aread_secret()) == VALUE
    assert secret.delete_secret() == "projects/project-one/secrets/login"
    assert secrets.secrets == {}
    assert VALUE.decode() not in caplog.text
    assert secrets.calls.count("projects_secrets_create") == 1


def test_a_damaged_value_is_not_returned(secret: GcpSecret, secrets: SecretManager):
    secret.write_secret(VALUE)
    secrets.damage = 1
    with pytest.raises(ValueError, match="damaged on the way") as caught:
        secret.read_secret()
    assert VALUE.decode() not in str(caught.value)


def test_what_is_missing_or_forbidden_comes_with_advice(secret: GcpSecret, secrets: SecretManager):
    with pytest.raises(NotFound, match=r"Secret \[projects/project-one/secrets/login\].*Check the name 'login', its version, and the project"):
        secret.read_secret()
    secrets.faults = [("projects_secrets_versions_access", "forbidden")]
    with pytest.raises(Forbidden, match="Give flows@project-one.iam.gserviceaccount.com a role on 'login': roles/secretmanager.secretAccessor"):
        secret.read_secret()


def test_a_busy_service_is_asked_again_only_where_that_does_no_harm(secret: GcpSecret, secrets: SecretManager):
    secret.write_secret(VALUE)
    secrets.faults = [("projects_secrets_versions_access", "down")]
    assert secret.read_secret() == VALUE
    secrets.faults = [("projects_secrets_addVersion", "lost")]
    with pytest.raises(Exception, match="The answer was lost"):
        secret.write_secret(b"other")
    assert len(secrets.secrets["projects/project-one/secrets/login"]) == 2


def test_tasks_do_the_same(secrets: SecretManager, credentials: GcpCredentials):
    @flow
    def work() -> Any:
        assert create_secret("one", credentials) == "projects/project-one/secrets/one"
        assert update_secret("one", "text", credentials) == "projects/project-one/secrets/one/versions/1"
        assert update_secret("one", b"bytes", credentials) == "projects/project-one/secrets/one/versions/2"
        assert read_secret("one", credentials) == "bytes"
        assert read_secret("one", credentials, version_id=1) == "text"
        assert delete_secret_version("one", 1, credentials) == "projects/project-one/secrets/one/versions/1"
        with pytest.raises(ValueError, match="'latest' cannot be deleted"):
            delete_secret_version("one", "latest", credentials)
        create_secret("two", credentials, project="another")
        return delete_secret("two", credentials, project="another")

    assert work() == "projects/another/secrets/two"
    assert secrets.secrets == {"projects/project-one/secrets/one": [None, "Ynl0ZXM="]}


def test_async_flows_await_the_twins(secrets: SecretManager, credentials: GcpCredentials, secret: GcpSecret):
    @flow
    async def work() -> str:
        await secret.awrite_secret(b"1")
        await aupdate_secret("login", "2", credentials)
        return await aread_secret("login", credentials)

    assert asyncio.run(work()) == "2"


def test_a_service_that_hangs_is_given_up(secrets: SecretManager, credentials: GcpCredentials):
    secrets.faults = [("projects_secrets_create", "silent")]

    @flow
    def work() -> None:
        create_secret("one", credentials, timeout=0.5)

    with pytest.raises(Exception, match="[Tt]imed out|[Tt]imeout"):
        work()
