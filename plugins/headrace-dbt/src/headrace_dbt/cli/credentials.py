"""The profile that dbt's command line reads: which target it uses, and how it logs in there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag

from headrace.blocks.core import Block
from headrace_dbt.cli.configs.base import GlobalConfigs, TargetConfigs
from headrace_dbt.cli.configs.bigquery import BigQueryTargetConfigs
from headrace_dbt.cli.configs.postgres import PostgresTargetConfigs
from headrace_dbt.cli.configs.snowflake import SnowflakeTargetConfigs

ANY_TARGET = "dbt-cli-target-configs"


def target_configs_discriminator(v: Any) -> str:
    """Return the block type slug that tells which kind of target configs `v` is; values without one are those of any adapter."""
    if isinstance(v, Mapping):
        return str(cast("Mapping[str, Any]", v).get("block_type_slug") or ANY_TARGET)
    return v.get_block_type_slug() if isinstance(v, Block) else ANY_TARGET


def _resolved(v: Any) -> Any:
    return Block.load_from_ref(v["$ref"]) if isinstance(v, dict) and set(v) == {"$ref"} else v


AnyTargetConfigs = Annotated[
    Annotated[SnowflakeTargetConfigs, Tag("dbt-cli-snowflake-target-configs")]
    | Annotated[BigQueryTargetConfigs, Tag("dbt-cli-bigquery-target-configs")]
    | Annotated[PostgresTargetConfigs, Tag("dbt-cli-postgres-target-configs")]
    | Annotated[TargetConfigs, Tag(ANY_TARGET)],
    Discriminator(target_configs_discriminator),
    BeforeValidator(_resolved),
]


class DbtCliProfile(Block):
    """A profile for the tasks and blocks that run dbt's command line.

    Example:
        ```python
        from headrace_dbt.cli import DbtCliProfile, TargetConfigs

        target_configs = TargetConfigs(
            type="redshift",
            schema="schema",
            threads=4,
            extras={"host": "hostname", "user": "username", "password": "password1", "port": 5439, "dbname": "analytics"},
        )
        profile = DbtCliProfile(name="jaffle_shop", target="dev", target_configs=target_configs).get_profile()
        ```
    """

    _block_type_name = "dbt CLI Profile"
    _block_type_slug = "dbt-cli-profile"

    name: str = Field(description="The profile's name, as dbt_project.yml has it.")
    target: str = Field(description="The default target your dbt project will use.")
    target_configs: AnyTargetConfigs = Field(description="Where that target is and how to log in there.")
    global_configs: GlobalConfigs | None = Field(default=None, description="How dbt prints, parses and fails.")

    def get_profile(self) -> dict[str, Any]:
        """Return the contents of profiles.yml, secrets in clear. Raises `ValueError` when the configs contradict each other."""
        profile: dict[str, Any] = {self.name: {"target": self.target, "outputs": {self.target: self.target_configs.get_configs()}}}
        if self.global_configs is not None:
            profile["config"] = self.global_configs.get_configs()
        return profile
