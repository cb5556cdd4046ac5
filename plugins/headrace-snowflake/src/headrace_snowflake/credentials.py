"""`SnowflakeCredentials`: how to log in to a Snowflake account. The SDK is imported when a connection is made."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, SecretBytes, SecretStr, model_validator

from headrace.blocks.abstract import CredentialsBlock

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

_WAYS_IN = ("password", "private_key", "private_key_path", "authenticator", "token", "workload_identity_provider")
_PEM = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>.+?)-----END (?P=label)-----", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")


def is_connector_5() -> bool:
    """Say whether the connector is of version 5, where the time limit of the network would be one of statements, too."""
    from snowflake.connector import __version__

    return int(__version__.partition(".")[0]) >= 5


class InvalidPemFormat(ValueError):
    """A private key is not in PEM format, or holds no key that can be read."""


class SnowflakeCredentials(CredentialsBlock):
    """Block used to manage authentication with Snowflake.

    The account, and one way in: a password, a private key (`private_key`, or a file of it at `private_key_path`), or an `authenticator`
    with what it needs: `oauth` a token, `okta_endpoint` an endpoint, `username_password_mfa` a password, `snowflake_jwt` a private key,
    `workload_identity` a provider, and of that `oidc` a token. `externalbrowser` opens a browser, so it needs a screen.
    All but `workload_identity` need a user.

    Example:
        ```python
        from headrace_snowflake import SnowflakeCredentials

        SnowflakeCredentials(account="nh12345.us-east-2.snowflake", user="marvin", password="...").save("my-account")
        credentials = SnowflakeCredentials.load("my-account")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Snowflake Credentials"

    account: str = Field(description="The Snowflake account name.", examples=["nh12345.us-east-2.snowflake"])
    user: str | None = Field(default=None, description="The user name used to authenticate.")
    password: SecretStr | None = Field(default=None, description="The password used to authenticate.")
    private_key: SecretBytes | None = Field(default=None, description="The PEM used to authenticate.")
    private_key_path: Path | None = Field(default=None, description="The path of a file with the PEM used to authenticate.")
    private_key_passphrase: SecretStr | None = Field(default=None, description="The passphrase of the private key, if it has one.")
    authenticator: Literal[
        "snowflake", "snowflake_jwt", "externalbrowser", "okta_endpoint", "oauth", "username_password_mfa", "workload_identity"
    ] = Field(default="snowflake", description="The type of authenticator to use for initializing connections.")
    workload_identity_provider: Literal["aws", "azure", "gcp", "oidc"] | None = Field(
        default=None, description="The workload identity provider to use when authenticator is set to `workload_identity`."
    )
    token: SecretStr | None = Field(
        default=None, description="The OAuth or JWT token to provide when authenticator is `oauth`, or the workload identity provider is `oidc`."
    )
    endpoint: str | None = Field(
        default=None, description="The Okta endpoint to use when authenticator is `okta_endpoint`.", examples=["https://<name>.okta.com"]
    )
    role: str | None = Field(default=None, description="The name of the default role to use.")
    autocommit: bool | None = Field(default=None, description="Whether to commit each statement by itself. Without a value, as the account says.")
    host: str | None = Field(
        default=None, description="Where the account is reached, if not at `<account>.snowflakecomputing.com`: a private link, a proxy, an emulator."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="The port there, if not 443.")
    protocol: Literal["https", "http"] | None = Field(default=None, description="The protocol there, if not https.")
    login_timeout_seconds: int = Field(
        default=120, ge=1, description="How long to go on trying to log in. An answer that is awaited then is given up a minute later."
    )
    network_timeout_seconds: int = Field(
        default=600, ge=1, description="How long to go on trying to send a request when Snowflake cannot be reached."
    )

    @model_validator(mode="before")
    @classmethod
    def _has_a_way_in(cls, values: Any) -> Any:
        if isinstance(values, dict) and not any(values.get(name) for name in _WAYS_IN):
            raise ValueError(f"One of these must be given, to log in with: {', '.join(_WAYS_IN)}.")
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        has_key = self.private_key is not None or self.private_key_path is not None
        if self.private_key is not None and self.private_key_path is not None:
            raise ValueError("Both private_key and private_key_path are given; give one of them.")
        if self.password is not None and self.private_key_passphrase is not None:
            raise ValueError(
                "Both password and private_key_passphrase are given. To log in with a private key give the passphrase alone, else the password alone."
            )
        if self.private_key_passphrase is not None and not has_key:
            raise ValueError("A private_key_passphrase is given, and no private_key or private_key_path that it belongs to.")
        if self.workload_identity_provider is not None and self.authenticator != "workload_identity":
            raise ValueError(
                f"A workload_identity_provider is given, and the authenticator is {self.authenticator!r}; set it to 'workload_identity'."
            )
        needs = {
            "oauth": ("token", self.token),
            "okta_endpoint": ("endpoint", self.endpoint),
            "username_password_mfa": ("password", self.password),
            "snowflake_jwt": ("private_key (or private_key_path)", has_key),
            "workload_identity": ("workload_identity_provider", self.workload_identity_provider),
        }
        name, given = needs.get(self.authenticator, ("", True))
        if not given:
            raise ValueError(f"The authenticator {self.authenticator!r} needs {name}, which is not given.")
        if self.workload_identity_provider == "oidc" and self.token is None:
            raise ValueError("The workload identity provider 'oidc' needs token, which is not given.")
        if self.user is None and self.authenticator != "workload_identity":
            raise ValueError(f"The authenticator {self.authenticator!r} needs user, which is not given.")
        return self

    def resolve_private_key(self) -> bytes | None:
        """Return the private key in DER format, not encrypted, as the connector takes it; None when none was given.

        A PEM that lost its line breaks, as it happens in environment variables and forms, is put in order again.

        Raises InvalidPemFormat when it is no PEM or holds no key, ValueError when the passphrase is missing or wrong, and
        FileNotFoundError when there is no file at `private_key_path`.
        """
        if self.private_key_path is not None:
            path = self.private_key_path.expanduser()
            if not path.is_file():
                raise FileNotFoundError(
                    f"There is no file with a private key at {str(path)!r}. Correct private_key_path, or give private_key instead."
                )
            pem, origin = path.read_bytes(), f"The file {str(path)!r}"
        elif self.private_key is not None:
            pem, origin = self.private_key.get_secret_value(), "The private_key"
        else:
            return None
        secret = self.private_key_passphrase or self.password  # a password was the passphrase, before there was a field for it
        return _der(_in_order(pem, origin), secret.get_secret_value().encode() if secret is not None else None, origin)

    def get_client(self, **connect_kwargs: Any) -> SnowflakeConnection:
        """Return a new connection, logged in. The caller closes it.

        `connect_kwargs` go to `snowflake.connector.connect`, and win over what the block says.

        Raises what the connector raises when logging in fails, with a hint of what to look at.
        """
        import snowflake.connector

        arguments = {**self._connect_arguments(), **connect_kwargs}
        try:
            return snowflake.connector.connect(**arguments)
        except snowflake.connector.errors.Error as error:
            error.add_note(
                f"Logging in to the account {self.account!r} as {self.user or 'a workload'!r} failed (authenticator {self.authenticator!r}). "
                "Check the account's name (with its region, as in 'nh12345.us-east-2'), the credentials, and whether this machine may reach it."
            )
            raise

    def _connect_arguments(self) -> dict[str, Any]:
        key = self.resolve_private_key()
        authenticator = self.endpoint if self.authenticator == "okta_endpoint" else self.authenticator
        arguments: dict[str, Any] = {
            "application": "headrace",
            "account": self.account,
            "user": self.user,
            "password": self.password.get_secret_value() if self.password is not None and key is None else None,
            "private_key": key,
            "authenticator": "snowflake_jwt" if key is not None else authenticator,
            "workload_identity_provider": self.workload_identity_provider,
            "token": self.token.get_secret_value() if self.token is not None else None,
            "role": self.role,
            "autocommit": self.autocommit,
            "host": self.host,
            "port": self.port,
            "protocol": self.protocol,
            "login_timeout": self.login_timeout_seconds,
            "request_timeout" if is_connector_5() else "network_timeout": self.network_timeout_seconds,
        }
        return {name: value for name, value in arguments.items() if value is not None}


def _in_order(pem: bytes, origin: str) -> bytes:
    """Return a PEM with one line break where each belongs (RFC 7468, section 3)."""
    found = _PEM.search(pem.decode("ascii", errors="replace").replace("\\n", "\n"))
    if found is None:
        raise InvalidPemFormat(
            f"{origin} is not in PEM format. It must begin with '-----BEGIN ... PRIVATE KEY-----' and end with the line that fits."
        )
    body, label = found["body"], found["label"]
    if ":" in body:  # an older format, with headers before the key (RFC 1421): as it came
        return f"-----BEGIN {label}-----{body}-----END {label}-----\n".encode()
    packed = "".join(body.split())
    if not _BASE64.fullmatch(packed):
        raise InvalidPemFormat(f"{origin} is not in PEM format: between its first and last line stand characters that are not base64.")
    return "\n".join((f"-----BEGIN {label}-----", *textwrap.wrap(packed, 64), f"-----END {label}-----", "")).encode()


def _der(pem: bytes, passphrase: bytes | None, origin: str) -> bytes:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except TypeError:  # a passphrase for a key that has none, or none for one that has
        if passphrase is None:
            raise ValueError(f"{origin} is encrypted. Give its passphrase as private_key_passphrase.") from None
        key = serialization.load_pem_private_key(pem, None)
    except Exception as error:
        if passphrase is not None and b"ENCRYPTED" in pem:
            raise ValueError(f"{origin} cannot be decrypted: the passphrase is wrong, or the key is damaged.") from error
        raise InvalidPemFormat(f"{origin} is in PEM format, but holds no private key that can be read.") from error
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
