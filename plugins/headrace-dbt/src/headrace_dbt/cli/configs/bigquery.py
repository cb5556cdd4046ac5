"""Target configs for BigQuery."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from headrace.blocks.core import Block
from headrace.blocks.fields import SecretDict
from headrace_dbt.cli.configs.base import BaseTargetConfigs, MissingExtrasRequireError, credentials_from, in_clear

_OF_GCP = "gcp-credentials"
_FILE, _INFO = "service_account_file", "service_account_info"


def _credentials_from(value: Any) -> Any:
    """Do what `credentials_from` does, and take the values of a saved block of headrace-gcp where that is not installed."""
    try:
        return credentials_from(value)
    except MissingExtrasRequireError:
        if value["block_type_slug"] != _OF_GCP:
            raise
        return SecretDict({name: item for name, item in value.items() if name != "block_type_slug"})


class BigQueryTargetConfigs(BaseTargetConfigs):
    """Where dbt builds in BigQuery.

    `credentials` is a block of headrace-gcp, which need not be installed where a saved one is used; a mapping of dbt's own keys will do, too.
    Without credentials dbt uses those of the environment (Application Default Credentials).

    Example:
        ```python
        from headrace_dbt.cli.configs import BigQueryTargetConfigs
        from headrace_gcp.credentials import GcpCredentials

        credentials = GcpCredentials.load("BLOCK-NAME-PLACEHOLDER")
        target_configs = BigQueryTargetConfigs(schema="schema", credentials=credentials)  # a schema is also known as dataset
        ```
    """

    _block_type_name = "dbt CLI BigQuery Target Configs"
    _block_type_slug = "dbt-cli-bigquery-target-configs"

    type: Literal["bigquery"] = Field(default="bigquery", description="The type of target.")  # type: ignore[assignment]  # narrower than in general
    project: str | None = Field(default=None, description="The project to use; default: that of the credentials.")
    credentials: Annotated[Block | SecretDict | None, BeforeValidator(_credentials_from)] = Field(
        default=None, description="The credentials to use to authenticate."
    )

    def get_configs(self) -> dict[str, Any]:
        """Return the configs as they stand in profiles.yml, secrets in clear.

        Raises `ValueError` when a name is given twice and `allow_field_overrides` is not set.
        """
        own = self._own_configs()
        credentials: Any = self.credentials
        if isinstance(credentials, SecretDict):
            values: dict[str, Any] = in_clear(credentials)
            credentials = SimpleNamespace(**values) if {_FILE, _INFO} & values.keys() else values
        found = dict(credentials) if isinstance(credentials, dict) else _of_credentials(credentials)
        if "project" in own:
            found.pop("project", None)
        extras: dict[str, Any] = in_clear(self.extras) or {}
        if "method" in extras:
            found.pop("method", None)
        return self._merged(own, found)


def _of_credentials(credentials: Any) -> dict[str, Any]:
    file = in_clear(getattr(credentials, _FILE, None))
    info = in_clear(getattr(credentials, _INFO, None))
    found: dict[str, Any] = {"project": getattr(credentials, "project", None)}
    if file:
        return {**found, "method": "service-account", "keyfile": file}
    if info:
        return {**found, "project": found["project"] or info.get("project_id"), "method": "service-account-json", "keyfile_json": info}
    return {**found, "method": "oauth"}
