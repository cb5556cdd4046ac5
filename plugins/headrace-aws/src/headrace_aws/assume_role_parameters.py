"""What can be asked for when a role is assumed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class AssumeRoleParameters(BaseModel):
    """Parameters of the STS call `AssumeRole`, by AWS's own names.

    See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. A session with a `TokenCode` cannot be renewed, since such a code
    can be used once; all others are renewed before they end.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid")

    RoleSessionName: str | None = Field(
        default=None, description="A name for the session, which AWS shows in its records. One is made up if none is given."
    )
    DurationSeconds: int | None = Field(default=None, description="How long the session's keys are good for, in seconds.", ge=900, le=43200)
    Policy: str | None = Field(default=None, description="A policy, as JSON, that limits the session further.")
    PolicyArns: list[dict[str, str]] | None = Field(
        default=None, description="Managed policies that limit the session further: dictionaries with the key `arn`."
    )
    Tags: list[dict[str, str]] | None = Field(default=None, description="Tags of the session: dictionaries with `Key` and `Value`.")
    TransitiveTagKeys: list[str] | None = Field(default=None, description="Keys of tags that stay when another role is assumed from this one.")
    ExternalId: str | None = Field(default=None, description="The identifier that a role of another account may ask for.")
    SerialNumber: str | None = Field(default=None, description="The MFA device of the user who assumes the role.")
    TokenCode: str | None = Field(default=None, description="The code that the MFA device shows.")
    SourceIdentity: str | None = Field(default=None, description="The identity that the session is recorded under.")
    ProvidedContexts: list[dict[str, str]] | None = Field(
        default=None, description="Contexts of an identity: dictionaries with `ProviderArn` and `ContextAssertion`."
    )

    def get_params_override(self) -> dict[str, Any]:
        """Return the parameters that are given, without those that are None."""
        return self.model_dump(exclude_none=True)
