"""Target configs for PostgreSQL."""

from __future__ import annotations

from typing import Any, Literal, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field

from headrace.blocks.core import Block
from headrace_dbt.cli.configs.base import BaseTargetConfigs, OtherBlock, in_clear

_NAMES = {"username": "user", "database": "dbname"}
_PORT = 5432


class PostgresTargetConfigs(BaseTargetConfigs):
    """Where dbt builds in PostgreSQL.

    `credentials` is a block with a `connection_info`, as the SQLAlchemy connector has it (an address, or its parts), or a mapping of the parts:
    `host`, `port`, `user` (or `username`), `password`, `dbname` (or `database`), and what else dbt knows, or an address as `url`.

    Example:
        ```python
        from headrace_dbt.cli.configs import PostgresTargetConfigs

        target_configs = PostgresTargetConfigs(
            schema="public",
            credentials={"host": "localhost", "user": "dbt", "password": "secret", "dbname": "shop"},
        )
        ```
    """

    _block_type_name = "dbt CLI Postgres Target Configs"
    _block_type_slug = "dbt-cli-postgres-target-configs"

    type: Literal["postgres"] = Field(default="postgres", description="The type of the target.")  # type: ignore[assignment]  # narrower than in general
    credentials: OtherBlock = Field(description="The credentials to use to authenticate.")

    def get_configs(self) -> dict[str, Any]:
        """Return the configs as they stand in profiles.yml, secrets in clear; the port is 5432 unless it is given.

        Raises `ValueError` when a name is given twice and `allow_field_overrides` is not set, and for the address of another database.
        """
        if isinstance(self.credentials, Block):
            found = _of_connection(getattr(self.credentials, "connection_info", None))
        else:
            values: dict[str, Any] = dict(in_clear(self.credentials))
            url = values.pop("url", None)
            found = {**_of_connection(url), **values} if url else values
        renamed = {_NAMES.get(name, name): value for name, value in found.items()}
        extras: dict[str, Any] = in_clear(self.extras) or {}
        if "port" not in extras:
            renamed["port"] = renamed.get("port") or _PORT
        return self._merged(self._own_configs(), renamed)


def _of_connection(info: Any) -> dict[str, Any]:
    info = in_clear(info)
    if info is None:
        raise ValueError("These credentials hold no connection_info. Give a SQLAlchemy connector, or a mapping with host, user, password and dbname.")
    driver = getattr(info, "driver", None)
    if driver is None:
        parts = urlsplit(str(info))
        _check_database(parts.scheme)
        return {
            "host": parts.hostname,
            "port": parts.port,
            "user": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "dbname": unquote(parts.path.lstrip("/")) or None,
            **dict(parse_qsl(parts.query)),
        }
    _check_database(str(in_clear(driver)))
    found = {name: getattr(info, name, None) for name in ("username", "password", "host", "port", "database")}
    return {**found, **cast("dict[str, Any]", getattr(info, "query", None) or {})}


def _check_database(driver: str) -> None:
    if driver.partition("+")[0] not in ("postgres", "postgresql"):
        raise ValueError(f"PostgresTargetConfigs needs the address of a PostgreSQL database, and these credentials are for {driver!r}.")
