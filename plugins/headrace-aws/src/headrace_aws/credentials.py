"""`AwsCredentials` and `MinIOCredentials`: how to log in, and the clients that follow from it. boto3 is imported when a client is made."""

from __future__ import annotations

import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr, SecretStr

from headrace.blocks.abstract import CredentialsBlock
from headrace.blocks.credentials import Live, revealed
from headrace_aws.assume_role_parameters import AssumeRoleParameters
from headrace_aws.client_parameters import AwsClientParameters
from headrace_aws.errors import explaining

if TYPE_CHECKING:
    import boto3

CLIENTS_MAX = 64
"""Clients that a process keeps. To make one costs some tenths of a second."""


class ClientType(Enum):
    """The clients that have a name here; `get_client` takes the name of any other service too."""

    S3 = "s3"
    ECS = "ecs"
    BATCH = "batch"
    SECRETS_MANAGER = "secretsmanager"


class _Clients:
    """The clients of this process, by what they were made from. The least used goes when there are too many."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # boto3 makes clients in one thread at a time
        self._made: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        key = (os.getpid(), key)
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
                while len(self._made) > CLIENTS_MAX:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
            return self._made[key]


_clients = _Clients()


class _Boto3Credentials(CredentialsBlock):
    """What the blocks below have in common: a session, and clients made from it."""

    _is_interface: ClassVar[bool] = True

    region_name: str | None = Field(default=None, description="The region of AWS, or where the server is: `us-east-1`.")
    aws_client_parameters: AwsClientParameters = Field(
        default_factory=AwsClientParameters, description="Extra parameters of the clients.", title="AWS Client Parameters"
    )

    _session: Live[Any] = PrivateAttr(default_factory=Live)

    def get_client(self, client_type: str | ClientType, **config_defaults: Any) -> Any:
        """Return the boto3 client of a service: `"s3"`, `"ecs"`, `ClientType.BATCH`. It is made once and can be shared by threads.

        `config_defaults` are arguments of botocore's `Config`, below those of the block.

        Raises ValueError for a service that boto3 does not know, AwsError when a role cannot be assumed or a region is missing.
        """
        service = client_type.value if isinstance(client_type, ClientType) else client_type
        told = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))  # boto3 reads them when it makes a client
        key = (type(self).__name__, service, self._identity(), repr(sorted(config_defaults.items())), told)
        return _clients.get(key, lambda: self._make_client(service, config_defaults))

    def get_s3_client(self) -> Any:
        """Return a client of S3."""
        return self.get_client(ClientType.S3)

    def get_boto3_session(self) -> boto3.Session:
        """Return a session with these credentials."""
        raise TypeError("Each kind of credentials has its own session.")

    def _identity(self) -> Any:
        """Return what tells these credentials from others."""
        values = {name: revealed(getattr(self, name)) for name in type(self).model_fields}
        return repr(sorted(values.items()))

    def _make_client(self, service: str, config_defaults: dict[str, Any]) -> Any:
        from botocore.exceptions import UnknownServiceError

        session = self._session.get(self.get_boto3_session)
        arguments = self.aws_client_parameters.get_params_override()
        arguments["config"] = self.aws_client_parameters.to_config(**config_defaults)
        with explaining(f"A client of {service!r} cannot be made", self):
            try:
                return session.client(service, **arguments)
            except UnknownServiceError as error:
                raise ValueError(
                    f"boto3 has no client {service!r}. Services are called as in its documentation: 's3', 'ecs', 'secretsmanager'."
                ) from error


class AwsCredentials(_Boto3Credentials):
    """Block used to manage authentication with AWS.

    What is not given is looked for as boto3 does: environment variables, configuration files, the role of the machine or container.
    With `assume_role_arn` the role is assumed, and its keys are renewed before they end.

    Example:
        ```python
        from headrace_aws import AwsCredentials

        AwsCredentials(aws_access_key_id="AKIA...", aws_secret_access_key="...", region_name="us-east-2").save("my-account")
        s3 = AwsCredentials.load("my-account").get_s3_client()
        ```
    """

    _block_type_name: ClassVar[str | None] = "AWS Credentials"
    _block_type_slug: ClassVar[str | None] = "aws-credentials"

    aws_access_key_id: str | None = Field(default=None, description="The access key's identifier.", title="AWS Access Key ID")
    aws_secret_access_key: SecretStr | None = Field(default=None, description="The access key.", title="AWS Access Key Secret")
    aws_session_token: SecretStr | None = Field(
        default=None, description="The session token that belongs to temporary keys.", title="AWS Session Token"
    )
    profile_name: str | None = Field(default=None, description="The profile of the AWS configuration files to use.")
    assume_role_arn: str | None = Field(default=None, description="The role to assume.", title="Assume Role ARN")
    assume_role_kwargs: AssumeRoleParameters = Field(
        default_factory=AssumeRoleParameters, description="Parameters of `AssumeRole`.", title="Assume Role Parameters"
    )

    def get_boto3_session(self) -> boto3.Session:
        """Return a session with these credentials, or, with `assume_role_arn`, with those of the role, which are renewed as they end.

        Raises AwsError when the role cannot be assumed, or the profile does not exist.
        """
        import boto3

        with explaining("No session with AWS", self):
            session = boto3.Session(
                aws_access_key_id=self.aws_access_key_id,
                aws_secret_access_key=revealed(self.aws_secret_access_key),
                aws_session_token=revealed(self.aws_session_token),
                profile_name=self.profile_name,
                region_name=self.region_name,
            )
        return session if self.assume_role_arn is None else self._in_role(session)

    def get_secrets_manager_client(self) -> Any:
        """Return a client of Secrets Manager."""
        return self.get_client(ClientType.SECRETS_MANAGER)

    def _in_role(self, session: boto3.Session) -> boto3.Session:
        import boto3
        import botocore.session
        from botocore.credentials import RefreshableCredentials

        arguments = self.aws_client_parameters.get_params_override()
        arguments["config"] = self.aws_client_parameters.to_config()
        asked = self.assume_role_kwargs.get_params_override()
        asked.setdefault("RoleSessionName", f"headrace-session-{secrets.token_hex(4)}")
        with explaining(f"The role {self.assume_role_arn!r} cannot be assumed", self):
            sts = session.client("sts", **arguments)

        def assumed() -> dict[str, str]:
            with explaining(f"The role {self.assume_role_arn!r} cannot be assumed", self):
                keys = sts.assume_role(RoleArn=self.assume_role_arn, **asked)["Credentials"]
            return {
                "access_key": keys["AccessKeyId"],
                "secret_key": keys["SecretAccessKey"],
                "token": keys["SessionToken"],
                "expiry_time": keys["Expiration"].isoformat(),
            }

        inner = botocore.session.get_session()
        # As botocore's own providers do it: there is no public way to give a session credentials that are renewed.
        inner._credentials = RefreshableCredentials.create_from_metadata(assumed(), assumed, "sts-assume-role")  # pyright: ignore[reportPrivateUsage]
        return boto3.Session(botocore_session=inner, region_name=self.region_name or session.region_name)


class MinIOCredentials(_Boto3Credentials):
    """Block used to manage authentication with MinIO, and other servers that speak S3.

    Example:
        ```python
        from headrace_aws import MinIOCredentials
        from headrace_aws.client_parameters import AwsClientParameters

        MinIOCredentials(
            minio_root_user="minio",
            minio_root_password="...",
            aws_client_parameters=AwsClientParameters(endpoint_url="http://localhost:9000"),
        ).save("my-minio")
        ```
    """

    _block_type_name: ClassVar[str | None] = "MinIO Credentials"
    _block_type_slug: ClassVar[str | None] = "minio-credentials"

    minio_root_user: str = Field(description="Admin or root user.")
    minio_root_password: SecretStr = Field(description="Admin or root password.")

    def get_boto3_session(self) -> boto3.Session:
        """Return a session with these credentials."""
        import boto3

        return boto3.Session(
            aws_access_key_id=self.minio_root_user,
            aws_secret_access_key=self.minio_root_password.get_secret_value(),
            region_name=self.region_name,
        )
