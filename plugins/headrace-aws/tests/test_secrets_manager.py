"""Secrets: the block and the tasks, against moto."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any
from uuid import uuid4

import pytest

from headrace import flow
from headrace_aws import AwsCredentials, AwsSecret
from headrace_aws import secrets_manager as tasks
from headrace_aws.errors import AwsError


@pytest.fixture
def secret(credentials: AwsCredentials) -> AwsSecret:
    return AwsSecret(secret_name=f"secret-{uuid4().hex}", aws_credentials=credentials)


def test_a_secret_is_made_changed_read_and_deleted(secret: AwsSecret) -> None:
    arn = secret.write_secret(b"first")
    assert secret.secret_name in arn
    assert secret.write_secret(b"second") == arn
    assert secret.read_secret() == b"second"
    assert secret.read_secret(version_stage="AWSPREVIOUS") == b"first"
    assert secret.delete_secret(recovery_window_in_days=7) == arn
    with pytest.raises(AwsError, match=f"{secret.secret_name}' cannot be read"):
        secret.read_secret()


def test_text_comes_as_bytes(secret: AwsSecret) -> None:
    secret.aws_credentials.get_secrets_manager_client().create_secret(Name=secret.secret_name, SecretString="grün")
    assert secret.read_secret() == "grün".encode()


def test_a_missing_secret_says_where_to_look(secret: AwsSecret) -> None:
    with pytest.raises(AwsError, match="Check its name and the region") as raised:
        secret.read_secret()
    assert raised.value.code == "ResourceNotFoundException"


def test_no_error_shows_the_secret(secret: AwsSecret) -> None:
    with pytest.raises(AwsError) as raised:
        secret.model_copy(update={"secret_name": "hunter2-secret"}).write_secret(b"hunter2-secret", ClientRequestToken="hunter2-secret")
    assert "hunter2" not in str(raised.value)


def test_no_traceback_shows_the_secret(secret: AwsSecret) -> None:
    with pytest.raises(AwsError) as raised:
        secret.write_secret(b"hunter2", ClientRequestToken=["hunter2"])  # pyright: ignore[reportArgumentType]  # the SDK's error repeats it
    shown = "".join(line for line in traceback.format_exception(raised.value) if "File" not in line)
    assert "hunter2" not in shown
    assert "valid types" in shown


@pytest.mark.parametrize("value", [{"password": "hunter2"}, ["hunter2"], 42])
def test_a_secret_that_is_neither_text_nor_bytes_is_refused_unseen(secret: AwsSecret, value: Any) -> None:
    for call in (lambda: secret.write_secret(value), lambda: tasks.create_secret.fn("n", value, secret.aws_credentials)):
        with pytest.raises(TypeError, match=r"text or bytes, and this is .*json\.dumps") as raised:
            call()
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("days", [0, 6, 31, 90])
def test_a_recovery_window_that_aws_refuses_is_refused_before(secret: AwsSecret, days: int) -> None:
    with pytest.raises(ValueError, match="7 to 30"):
        secret.delete_secret(recovery_window_in_days=days)


def test_tasks_work_in_a_flow(credentials: AwsCredentials) -> None:
    name = f"secret-{uuid4().hex}"

    @flow
    def work() -> tuple[str | bytes, str | bytes]:
        made = tasks.create_secret(name, "42", credentials, description="answer", tags=[{"Key": "team", "Value": "deep"}])
        assert made["Name"] == name
        assert set(made) == {"ARN", "Name", "VersionId"}
        text = tasks.read_secret(name, credentials)
        tasks.update_secret(name, b"\x00\x01", credentials, description="binary")
        blob = tasks.read_secret(name, credentials)
        gone = tasks.delete_secret(name, credentials, force_delete_without_recovery=True, recovery_window_in_days=0)
        assert set(gone) == {"ARN", "Name", "DeletionDate"}
        return text, blob

    assert work() == ("42", b"\x00\x01")


def test_async_flows_await(secret: AwsSecret) -> None:
    @flow
    async def work() -> bytes:
        await secret.awrite_secret(b"x")
        assert await tasks.aread_secret(secret.secret_name, secret.aws_credentials) == b"x"
        return await secret.aread_secret()

    assert asyncio.run(work()) == b"x"
