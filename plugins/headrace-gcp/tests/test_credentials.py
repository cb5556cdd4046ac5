"""Logging in to Google Cloud, with keys that are signed and checked for real."""

from __future__ import annotations

import json
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import RefreshError, TransportError

from headrace.blocks.object_stores import ObjectStoreError
from headrace_gcp import BigQueryWarehouse, GcpCredentials, GcpSecret, GcsBucket
from headrace_gcp.credentials import ClientType

from .google_login import ACCOUNT, PROJECT, TOKEN, GoogleLogin, service_account_info


def test_the_key_logs_in(login: GoogleLogin, credentials: GcpCredentials):
    assert credentials.get_access_token() == TOKEN
    assert login.asked[-1]["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert credentials.account == ACCOUNT
    assert credentials.project == PROJECT


def test_the_key_may_be_a_file_or_json(info: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "key.json").write_text(json.dumps(info))
    monkeypatch.setenv("HOME", str(tmp_path))
    found = GcpCredentials(service_account_file="~/key.json")
    assert found.service_account_file == tmp_path / "key.json"
    assert found.project == PROJECT
    assert found.get_access_token() == TOKEN
    assert GcpCredentials(service_account_info=json.dumps(info)).get_access_token() == TOKEN


def test_the_environment_is_asked_when_no_key_is_given(info: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "key.json").write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    assert GcpCredentials().get_access_token() == TOKEN
    assert GcpCredentials().resolve_project() == PROJECT
    assert GcpCredentials(project="another").get_cloud_storage_client().project == "another"
    assert GcpCredentials().get_cloud_storage_client(project="third").project == "third"


def test_tokens_of_others_are_exchanged(login: GoogleLogin, tmp_path: Path):
    """Workload identity federation. Nothing is asked of anybody before a token is needed."""
    (tmp_path / "token").write_text("token-of-a-cluster")
    pool = "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/pool/providers/cluster"
    info = {
        "type": "external_account",
        "audience": pool,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{login.url}/sts",
        "credential_source": {"file": str(tmp_path / "token")},
    }
    found = GcpCredentials(service_account_info=info, project="project-two")
    assert found.get_cloud_storage_client().project == "project-two"
    assert found.account == "the login of these credentials"
    assert found.get_access_token() == TOKEN
    assert (login.asked[-1]["subject_token"], login.asked[-1]["audience"]) == ("token-of-a-cluster", pool)
    with pytest.raises(ValueError, match="No project is known"):  # the service that knows it cannot be reached from here
        GcpCredentials(service_account_info=info).resolve_project()


USER = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
IMPERSONATED = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
ON_AWS = {"environment_id": "aws1", "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity"}
FEDERATED = {"type": "external_account", "audience": "//iam.googleapis.com/x", "token_url": "https://sts.googleapis.com/v1/token"}


@pytest.mark.parametrize(
    ("info", "module", "account"),
    [
        (USER, "google.oauth2.credentials", None),
        (
            {"type": "impersonated_service_account", "service_account_impersonation_url": IMPERSONATED, "source_credentials": USER},
            "google.auth.impersonated_credentials",
            ACCOUNT,
        ),
        (
            {**FEDERATED, "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request", "credential_source": ON_AWS},
            "google.auth.aws",
            None,
        ),
        (
            {**FEDERATED, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"executable": {"command": "x"}}},
            "google.auth.pluggable",
            None,
        ),
        (
            {
                **USER,
                "type": "external_account_authorized_user",
                "token_url": "https://sts.googleapis.com/v1/oauthtoken",
                "token_info_url": "https://x",
            },
            "google.auth.external_account_authorized_user",
            None,
        ),
    ],
)
@pytest.mark.filterwarnings("error::DeprecationWarning:google.auth")
def test_all_kinds_of_credentials_are_taken(info: dict[str, Any], module: str, account: str | None, tmp_path: Path):
    (tmp_path / "file.json").write_text(json.dumps(info))
    for found in (GcpCredentials(service_account_info=info), GcpCredentials(service_account_file=tmp_path / "file.json")):
        assert type(found.get_credentials_from_service_account()).__module__ == module
        assert found.service_account == account


def test_an_unknown_kind_is_told_with_the_list():
    with pytest.raises(ValueError, match="no credentials of the type .*. There are service_account, authorized_user, external_account"):
        GcpCredentials(service_account_info={"type": "password"}).get_access_token()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"service_account_file": "/no/such/key.json"}, "There is no file '/no/such/key.json'"),
        ({"service_account_info": "{no json"}, "service_account_info is no JSON"),
    ],
)
def test_what_is_no_key_is_told_at_once(values: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        GcpCredentials(**values)


def test_file_and_content_together_are_refused(info: dict[str, Any], tmp_path: Path):
    (tmp_path / "key.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match="Only one of service_account_info or service_account_file"):
        GcpCredentials(service_account_file=tmp_path / "key.json", service_account_info=info)


def test_a_broken_key_is_explained_without_it(info: dict[str, Any]):
    broken = GcpCredentials(service_account_info={**info, "private_key": "-----BEGIN PRIVATE KEY-----\nmangled-secret\n-----END PRIVATE KEY-----\n"})
    with pytest.raises(ValueError, match="The credentials for Google Cloud cannot be used") as caught:
        broken.get_access_token()
    assert "mangled-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_revoked_key_is_told_by_what_uses_it(login: GoogleLogin, storage: str):
    another = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    bucket = GcsBucket(bucket="some-bucket", gcp_credentials=GcpCredentials(service_account_info=service_account_info(login, another)))
    with pytest.raises(Exception, match=r"gave no token for these credentials \(.*Invalid JWT Signature.*Check the GcpCredentials block") as caught:
        bucket.read_path("x")
    assert "BEGIN" not in str(caught.value)
    warehouse = BigQueryWarehouse(gcp_credentials=bucket.gcp_credentials)
    secret = GcpSecret(gcp_credentials=bucket.gcp_credentials, secret_name="s")
    for attempt in (lambda: warehouse.execute("SELECT 1"), lambda: secret.read_secret(), lambda: bucket.gcp_credentials.get_access_token()):
        with pytest.raises(RefreshError, match=r"gave no token for these credentials \(.*Invalid JWT Signature.*Check the GcpCredentials block"):
            attempt()


def test_a_login_that_hangs_is_given_up(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_REQUEST_TIMEOUT_SECONDS", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = GcpCredentials(service_account_info={**info, "token_uri": f"http://127.0.0.1:{silent.getsockname()[1]}/token"})
        with pytest.raises(TransportError, match="timed out"):
            hanging.get_access_token()
        with pytest.raises(ObjectStoreError, match="did not answer in time"):
            GcsBucket(bucket="a-bucket", gcp_credentials=hanging).read_path("x")


def test_no_credentials_at_all_say_what_to_do():
    with pytest.raises(ValueError, match="gcloud auth application-default login"):
        GcpCredentials().get_access_token()


def test_a_missing_project_says_what_to_do(info: dict[str, Any]):
    del info["project_id"]
    with pytest.raises(ValueError, match="Set `project` on the GcpCredentials block"):
        GcpCredentials(service_account_info=info).get_cloud_storage_client()


def test_each_client_can_be_had_by_name(credentials: GcpCredentials):
    names = {kind: type(credentials.get_client(kind)).__name__ for kind in ClientType}
    assert names == {
        ClientType.CLOUD_STORAGE: "Client",
        ClientType.BIGQUERY: "Client",
        ClientType.SECRET_MANAGER: "SecretManagerServiceClient",
        ClientType.AIPLATFORM: "JobServiceClient",
    }
    assert credentials.get_client("bigquery", location="EU").location == "EU"
    with pytest.raises(ValueError, match="pubsub"):
        credentials.get_client("pubsub")


async def _async_client(credentials: GcpCredentials) -> Any:
    return credentials.get_job_service_async_client(client_options={"api_endpoint": "us-east1-aiplatform.googleapis.com"})


def test_the_async_client_is_for_its_region(credentials: GcpCredentials):
    import asyncio

    assert asyncio.run(_async_client(credentials)).api_endpoint == "us-east1-aiplatform.googleapis.com"


def test_blocks_are_pickled_without_what_they_hold_open(credentials: GcpCredentials):
    credentials.get_access_token()
    assert pickle.loads(pickle.dumps(credentials)).get_access_token() == TOKEN
