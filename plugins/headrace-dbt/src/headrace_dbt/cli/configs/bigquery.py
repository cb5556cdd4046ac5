"""Target configs for BigQuery."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from headrace.blocks.core import Block
from headrace_dbt.cli.configs.base import BaseTargetConfigs, OtherBlock, in_clear


class BigQueryTargetConfigs(BaseTargetConfigs):
    """Where dbt builds in BigQuery.

    `credentials` is a block of headrace-gcp, which need not be installed for the configs alone: a mapping of dbt's own keys will do, too.
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
    credentials: OtherBlock | None = Field(default=None, description="The credentials to use to authenticate.")

    def get_configs(self) -> dict[str, Any]:
        """Return the configs as they stand in profiles.yml, secrets in clear.

        Raises `ValueError` when a name is given twice and `allow_field_overrides` is not set.
        """
        own = self._own_configs()
        found = _of_credentials(self.credentials) if self.credentials is None or isinstance(self.credentials, Block) else in_clear(self.credentials)
        if "project" in own:
            found.pop("project", None)
        extras: dict[str, Any] = in_clear(self.extras) or {}
        if "method" in extras:
            found.pop("method", None)
        return self._merged(own, found)


def _of_credentials(credentials: Block | None) -> dict[str, Any]:
    file = in_clear(getattr(credentials, "service_account_file", None))
    info = in_clear(getattr(credentials, "service_account_info", None))
    found: dict[str, Any] = {"project": getattr(credentials, "project", None)}
    if file:
        return {**found, "method": "service-account", "keyfile": file}
    if info:
        return {**found, "project": found["project"] or info.get("project_id"), "method": "service-account-json", "keyfile_json": info}
    return {**found, "method": "oauth"}
