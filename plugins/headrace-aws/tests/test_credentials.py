"""Credentials: where they come from, roles that are assumed, clients that are shared."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from headrace_aws import AwsCredentials, MinIOCredentials
from headrace_aws.assume_role_parameters import AssumeRoleParameters
from headrace_aws.client_parameters import AwsClientParameters
from headrace_aws.credentials import ClientType
from headrace_aws.errors import AwsError

from .conftest import credentials_for

ROLE = "arn:aws:iam::123456789012:role/worker"


def test_clients_are_made_once(moto: str) -> None:
    one, same = credentials_for(moto), credentials_for(moto)
    assert one.get_client("s3") is same.get_client(ClientType.S3)
    assert one.get_s3_client() is one.get_client("s3")
    assert one.get_secrets_manager_client() is not one.get_s3_client()
    assert credentials_for(moto, region_name="eu-west-1").get_client("s3") is not one.get_client("s3")


def test_clients_have_time_limits_that_can_be_changed(moto: str) -> None:
    config = credentials_for(moto).get_client("ecs").meta.config
    assert (config.connect_timeout, config.read_timeout) == (10, 60)
    assert credentials_for(moto).get_client("lambda", read_timeout=900).meta.config.read_timeout == 900
    own = credentials_for(moto, aws_client_parameters=AwsClientParameters(endpoint_url=moto, config={"read_timeout": 5}))
    assert own.get_client("lambda", read_timeout=900).meta.config.read_timeout == 5


def test_an_unknown_service_is_a_value_error(moto: str) -> None:
    with pytest.raises(ValueError, match="no client 's4'"):
        credentials_for(moto).get_client("s4")


def test_a_missing_region_says_what_to_give() -> None:
    with pytest.raises(AwsError, match="AWS_DEFAULT_REGION"):
        AwsCredentials().get_client("ecs")


def test_a_missing_profile_says_what_to_do() -> None:
    with pytest.raises(AwsError, match="profile_name"):
        AwsCredentials(profile_name="nobody").get_client("s3")


def test_a_profile_of_the_machine_is_used(tmp_path: Path) -> None:
    (tmp_path / "aws-credentials").write_text("[team]\naws_access_key_id = AKTEAM\naws_secret_access_key = x\n")
    (tmp_path / "aws-config").write_text("[profile team]\nregion = eu-north-1\n")
    session = AwsCredentials(profile_name="team").get_boto3_session()
    assert session.region_name == "eu-north-1"
    found = session.get_credentials()
    assert found is not None
    assert found.access_key == "AKTEAM"


def test_a_role_is_assumed_at_the_given_endpoint_and_renewed(moto: str) -> None:
    credentials = credentials_for(moto, assume_role_arn=ROLE, assume_role_kwargs={"RoleSessionName": "mine", "DurationSeconds": 900})
    assert credentials.get_client("sts").get_caller_identity()["Arn"].endswith("assumed-role/worker/mine")
    session: Any = credentials.get_boto3_session()
    found = session.get_credentials()
    before = found.get_frozen_credentials()
    found._expiry_time = datetime.datetime.now(datetime.UTC)
    after = found.get_frozen_credentials()
    assert before.token
    assert after.access_key != before.access_key


def test_a_role_that_cannot_be_assumed_is_named() -> None:
    nobody = AwsCredentials(assume_role_arn=ROLE, region_name="us-east-1")
    with pytest.raises(AwsError, match=r"role/worker' cannot be assumed"):
        nobody.get_client("s3")


def test_role_parameters_are_checked() -> None:
    assert AssumeRoleParameters(ExternalId="x").get_params_override() == {"ExternalId": "x"}
    with pytest.raises(ValueError, match="DurationSeconds"):
        AssumeRoleParameters(DurationSeconds=60)


def test_client_parameters_become_arguments(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    found = AwsClientParameters(verify_cert_path=bundle, endpoint_url="http://here", config={"signature_version": "unsigned"}).get_params_override()
    assert found["verify"] == str(bundle)
    assert found["endpoint_url"] == "http://here"
    assert "api_version" not in found
    assert AwsClientParameters().get_params_override() == {"use_ssl": True}
    assert AwsClientParameters(config=Config(region_name="eu-west-1", read_timeout=3)).config == {"region_name": "eu-west-1", "read_timeout": 3}


def test_certificates_that_are_not_used_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    AwsClientParameters(verify=False, verify_cert_path=bundle)
    assert "no effect" in caplog.text
    assert AwsClientParameters(verify=bundle).get_params_override()["verify"] == str(bundle)
    assert "verify_cert_path" in caplog.text


def test_blocks_with_clients_can_be_pickled(moto: str) -> None:
    credentials = credentials_for(moto)
    credentials.get_client("s3")
    assert pickle.loads(pickle.dumps(credentials)) == credentials
    minio = MinIOCredentials(minio_root_user="u", minio_root_password="p")
    assert pickle.loads(pickle.dumps(minio)) == minio
