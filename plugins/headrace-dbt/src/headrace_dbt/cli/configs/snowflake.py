"""Target configs for Snowflake."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import Field

from headrace.blocks.core import Block
from headrace_dbt.cli.configs.base import BaseTargetConfigs, OtherBlock, in_clear

_KEYS = (
    "account", "user", "password", "private_key", "private_key_path", "private_key_passphrase", "token", "role", "workload_identity_provider",
    "host", "port", "protocol",
)  # fmt: skip


class SnowflakeTargetConfigs(BaseTargetConfigs):
    """Where dbt builds in Snowflake.

    `connector` is a block of headrace-snowflake, which need not be installed for the configs alone: a mapping of dbt's own keys will do, too.

    Example:
        ```python
        from headrace_dbt.cli.configs import SnowflakeTargetConfigs
        from headrace_snowflake.credentials import SnowflakeCredentials
        from headrace_snowflake.database import SnowflakeConnector

        credentials = SnowflakeCredentials(user="user", password="password", account="account.region.aws", role="role")
        connector = SnowflakeConnector(schema="public", database="database", warehouse="warehouse", credentials=credentials)
        target_configs = SnowflakeTargetConfigs(connector=connector, extras={"retry_on_database_errors": True})
        ```
    """

    _block_type_name = "dbt CLI Snowflake Target Configs"
    _block_type_slug = "dbt-cli-snowflake-target-configs"

    type: Literal["snowflake"] = Field(default="snowflake", description="The type of the target.")  # type: ignore[assignment]  # narrower than in general
    schema_: str | None = Field(default=None, alias="schema", description="The schema to use; default: that of the connector.")  # type: ignore[assignment]  # documented as optional here
    connector: OtherBlock = Field(description="The connector to use.")

    def get_configs(self) -> dict[str, Any]:
        """Return the configs as they stand in profiles.yml, secrets in clear.

        Raises `ValueError` when a name is given twice and `allow_field_overrides` is not set, or when no schema is given.
        """
        own = self._own_configs()
        found = _of_connector(self.connector) if isinstance(self.connector, Block) else in_clear(self.connector)
        if own.get("schema") is not None:
            found.pop("schema", None)  # documented: the target's own schema is the one that dbt builds into
        merged = self._merged(own, found)
        if not merged.get("schema"):
            raise ValueError("No schema is given to build into: set schema here or in the connector.")
        return merged


def _of_connector(connector: Block) -> dict[str, Any]:
    credentials: Any = getattr(connector, "credentials", None)
    found = {name: getattr(credentials, name, None) for name in _KEYS}
    found.update({name: getattr(connector, name, None) for name in ("database", "warehouse")})
    found["schema"] = getattr(connector, "schema_", None)
    if found["private_key"] is not None and hasattr(credentials, "resolve_private_key"):
        # as dbt reads it: DER in base64. So line breaks that a PEM has lost do no harm, and what the passphrase was does not matter
        found["private_key"] = base64.b64encode(credentials.resolve_private_key()).decode()
        found["private_key_passphrase"] = found["password"] = None
    authenticator = in_clear(getattr(credentials, "authenticator", None))
    if authenticator == "okta_endpoint":
        found["authenticator"] = getattr(credentials, "endpoint", None)
    elif authenticator != "snowflake":  # which is dbt's default
        found["authenticator"] = authenticator
    return found
