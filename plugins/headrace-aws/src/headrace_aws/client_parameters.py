"""How boto3's clients are made."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, field_validator, model_validator

if TYPE_CHECKING:
    from botocore.config import Config

_logger = logging.getLogger("headrace.aws")

CONFIG_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "max_pool_connections": 64,
}
"""What `config` is where it says nothing: time limits in seconds, tries of a request that AWS says may be repeated, connections at once."""


class AwsClientParameters(BaseModel):
    """Extra parameters of `boto3.session.Session.client`."""

    model_config = ConfigDict(defer_build=True)

    api_version: str | None = Field(
        default=None, description="The API version to use; by default the newest that botocore knows.", title="API Version"
    )
    use_ssl: bool = Field(default=True, description="Whether to use TLS. Does not matter when `endpoint_url` is given.", title="Use SSL")
    verify: bool | FilePath | None = Field(
        default=None, description="Whether to verify certificates. A path is taken too; give it as `verify_cert_path`."
    )
    verify_cert_path: FilePath | None = Field(
        default=None,
        description="The file of a bundle of CA certificates to use instead of botocore's.",
        title="Certificate Authority Bundle File Path",
    )
    endpoint_url: str | None = Field(
        default=None, description="Where the service is reached, if not at AWS: `http://localhost:9000`.", title="Endpoint URL"
    )
    config: dict[str, Any] | None = Field(
        default=None,
        description="Arguments of `botocore.config.Config`, as `connect_timeout` (10 seconds if not given), `read_timeout` (60), `retries` (4 tries "
        "in all), `max_pool_connections` (64), `proxies` or `s3`. The `signature_version` 'unsigned' is for what needs no credentials.",
        title="Botocore Config",
    )

    @field_validator("config", mode="before")
    @classmethod
    def instantiate_config(cls, value: Any) -> Any:
        """Take a botocore `Config` for the arguments that it was made with."""
        if value is None or isinstance(value, dict):
            return value
        given = getattr(value, "_user_provided_options", None)  # botocore has no public name for it
        return dict(given) if given is not None else value

    @model_validator(mode="before")
    @classmethod
    def deprecated_verify_cert_path(cls, values: Any) -> Any:
        """Warn of a path that is given as `verify`."""
        if isinstance(values, dict) and values.get("verify") is not None and not isinstance(values["verify"], bool):
            _logger.warning("`verify` is a path. Give it as `verify_cert_path`, and keep `verify` for True and False.")
        return values

    @model_validator(mode="after")
    def verify_cert_path_and_verify(self) -> Self:
        """Warn of certificates that are not used."""
        if self.verify_cert_path is not None and self.verify is False:
            _logger.warning("`verify_cert_path` has no effect, since `verify` is False: no certificate is verified.")
        return self

    def get_params_override(self) -> dict[str, Any]:
        """Return the arguments of `Session.client` that are given, without those that are None; `config` as a botocore `Config`."""
        found: dict[str, Any] = {"use_ssl": self.use_ssl}
        if self.api_version is not None:
            found["api_version"] = self.api_version
        if self.endpoint_url is not None:
            found["endpoint_url"] = self.endpoint_url
        if self.verify is not None:
            found["verify"] = self.verify if isinstance(self.verify, bool) else str(self.verify)
        if self.verify_cert_path is not None and self.verify is not False:
            found["verify"] = str(self.verify_cert_path)
        if self.config is not None:
            found["config"] = self.to_config()
        return found

    def to_config(self, **defaults: Any) -> Config:
        """Return `config` as botocore's, over these defaults and over `CONFIG_DEFAULTS`."""
        from botocore import UNSIGNED
        from botocore.config import Config

        values = {**CONFIG_DEFAULTS, **defaults, **(self.config or {})}
        if values.get("signature_version") == "unsigned":
            values["signature_version"] = UNSIGNED
        return Config(**values)
