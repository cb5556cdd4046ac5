"""Secrets Manager: `AwsSecret`, and tasks for secrets by their names."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from headrace.blocks.abstract import SecretBlock
from headrace.utilities.asyncutils import twins
from headrace_aws.credentials import AwsCredentials
from headrace_aws.errors import code_of, explaining
from headrace_aws.tasks import logger, twin_tasks

RECOVERY_DAYS = (7, 30)
"""How long AWS can keep a deleted secret, at least and at most."""
_ABSENT = "ResourceNotFoundException"
_EXISTS = "ResourceExistsException"


class AwsSecret(SecretBlock):
    """Manages a secret in AWS's Secrets Manager.

    Example:
        ```python
        from headrace_aws import AwsCredentials, AwsSecret

        secret = AwsSecret(secret_name="database-password", aws_credentials=AwsCredentials.load("my-account"))
        secret.write_secret(b"hunter2")
        password = secret.read_secret().decode()
        ```
    """

    _block_type_name: ClassVar[str | None] = "AWS Secret"
    _block_type_slug: ClassVar[str | None] = "aws-secret"

    aws_credentials: AwsCredentials = Field(description="The credentials to use for authentication with AWS.", title="AWS Credentials")
    secret_name: str = Field(description="The name of the secret, or its ARN.")  # secret: names it, holds none

    def read_secret(self, version_id: str | None = None, version_stage: str | None = None, **read_kwargs: Any) -> bytes:
        """Return the secret; one that was stored as text comes as UTF-8.

        Without `version_id` and `version_stage` it is the current version. `read_kwargs` go to `get_secret_value`. Raises `AwsError` when there is no
        such secret, or it may not be read.
        """
        found = _read(self.aws_credentials, self.secret_name, version_id, version_stage, read_kwargs)
        return found if isinstance(found, bytes) else found.encode()

    def write_secret(self, secret_data: bytes, **put_or_create_secret_kwargs: Any) -> str:
        """Make `secret_data` the secret's current version, making the secret if need be; return its ARN.

        `put_or_create_secret_kwargs` go to `put_secret_value`, or to `create_secret` where there was none. Raises `AwsError`,
        and TypeError for what is neither text nor bytes.
        """
        _checked(secret_data)
        client = self.aws_credentials.get_secrets_manager_client()
        with explaining(f"The secret {self.secret_name!r} cannot be written", secret_data, self):
            try:
                stored = client.put_secret_value(SecretId=self.secret_name, SecretBinary=secret_data, **put_or_create_secret_kwargs)
            except Exception as error:
                if code_of(error) != _ABSENT:
                    raise
                self.logger.info("There is no secret %r; it is made.", self.secret_name)
                try:
                    stored = client.create_secret(Name=self.secret_name, SecretBinary=secret_data, **put_or_create_secret_kwargs)
                except Exception as second:
                    if code_of(second) != _EXISTS:
                        raise
                    stored = client.put_secret_value(SecretId=self.secret_name, SecretBinary=secret_data, **put_or_create_secret_kwargs)
        return stored["ARN"]

    def delete_secret(self, recovery_window_in_days: int = 30, force_delete_without_recovery: bool = False, **delete_kwargs: Any) -> str:
        """Delete the secret and return its ARN. It can be brought back for `recovery_window_in_days`, unless that is forgone.

        `delete_kwargs` go to `delete_secret` of the client. Raises ValueError for fewer than 7 or more than 30 days, and `AwsError`.
        """
        return _delete(self.aws_credentials, self.secret_name, recovery_window_in_days, force_delete_without_recovery, delete_kwargs)["ARN"]

    read_secret, aread_secret = twins(read_secret)
    write_secret, awrite_secret = twins(write_secret)
    delete_secret, adelete_secret = twins(delete_secret)


def _read(credentials: AwsCredentials, name: str, version_id: str | None, version_stage: str | None, options: dict[str, Any]) -> str | bytes:
    asked = {"SecretId": name, "VersionId": version_id, "VersionStage": version_stage, **options}
    with explaining(f"The secret {name!r} cannot be read", credentials):
        found = credentials.get_secrets_manager_client().get_secret_value(**{key: value for key, value in asked.items() if value is not None})
    return found["SecretString"] if "SecretString" in found else found["SecretBinary"]


def _delete(credentials: AwsCredentials, name: str, days: int, is_forced: bool, options: dict[str, Any]) -> dict[str, Any]:
    least, most = RECOVERY_DAYS
    if not is_forced and not least <= days <= most:
        raise ValueError(
            f"The recovery window is {days} days, and AWS takes {least} to {most}. To delete a secret for good and at once, give "
            "force_delete_without_recovery=True."
        )
    how: dict[str, Any] = {"ForceDeleteWithoutRecovery": True} if is_forced else {"RecoveryWindowInDays": days}
    with explaining(f"The secret {name!r} cannot be deleted", credentials):
        return _without_metadata(credentials.get_secrets_manager_client().delete_secret(SecretId=name, **how, **options))


def _without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _checked(secret_value: str | bytes) -> str | bytes:
    """Return what may be stored. The SDK would refuse all else, and show it in its error."""
    if not isinstance(secret_value, str | bytes | bytearray):  # pyright: ignore[reportUnnecessaryIsInstance]  # users pass anything
        raise TypeError(f"A secret is text or bytes, and this is of type {type(secret_value).__name__}. Several values are kept by json.dumps(...).")
    return secret_value


def _valued(secret_value: str | bytes) -> dict[str, Any]:
    _checked(secret_value)
    return {"SecretBinary": secret_value} if isinstance(secret_value, bytes) else {"SecretString": secret_value}


def _read_task(secret_name: str, aws_credentials: AwsCredentials, version_id: str | None = None, version_stage: str | None = None) -> str | bytes:
    """Return a secret: text or bytes, as it was stored. Without `version_id` and `version_stage` it is the current version.

    The task's result is the secret, so do not persist it. Raises `AwsError` when there is no such secret, or it may not be read.
    """
    logger().info("Getting value for secret %s", secret_name)
    return _read(aws_credentials, secret_name, version_id, version_stage, {})


def _update_task(secret_name: str, secret_value: str | bytes, aws_credentials: AwsCredentials, description: str | None = None) -> dict[str, str]:
    """Change the value of a secret, and its description if one is given; return `{"ARN", "Name", "VersionId"}`.

    Raises `AwsError`, and TypeError for a value that is neither text nor bytes.
    """
    logger().info("Updating value for secret %s", secret_name)
    more = {"Description": description} if description is not None else {}
    with explaining(f"The secret {secret_name!r} cannot be updated", secret_value, aws_credentials):
        return _without_metadata(aws_credentials.get_secrets_manager_client().update_secret(SecretId=secret_name, **_valued(secret_value), **more))


def _create_task(
    secret_name: str,
    secret_value: str | bytes,
    aws_credentials: AwsCredentials,
    description: str | None = None,
    tags: list[dict[str, str]] | None = None,
) -> dict[str, str]:
    """Make a secret and return `{"ARN", "Name", "VersionId"}`. `tags` are dictionaries with `Key` and `Value`.

    Raises `AwsError`, and TypeError for a value that is neither text nor bytes.
    """
    logger().info("Creating secret named %s", secret_name)
    more = {name: value for name, value in (("Description", description), ("Tags", tags)) if value is not None}
    with explaining(f"The secret {secret_name!r} cannot be made", secret_value, aws_credentials):
        return _without_metadata(aws_credentials.get_secrets_manager_client().create_secret(Name=secret_name, **_valued(secret_value), **more))


def _delete_task(
    secret_name: str, aws_credentials: AwsCredentials, recovery_window_in_days: int = 30, force_delete_without_recovery: bool = False
) -> dict[str, Any]:
    """Delete a secret and return `{"ARN", "Name", "DeletionDate"}`. It can be brought back for `recovery_window_in_days`, unless that is forgone.

    Raises ValueError for fewer than 7 or more than 30 days, and `AwsError`.
    """
    logger().info("Deleting secret %s", secret_name)
    return _delete(aws_credentials, secret_name, recovery_window_in_days, force_delete_without_recovery, {})


read_secret, aread_secret = twin_tasks(_read_task, "read_secret")
update_secret, aupdate_secret = twin_tasks(_update_task, "update_secret")
create_secret, acreate_secret = twin_tasks(_create_task, "create_secret")
delete_secret, adelete_secret = twin_tasks(_delete_task, "delete_secret")
