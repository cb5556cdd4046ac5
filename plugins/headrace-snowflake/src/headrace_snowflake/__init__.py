"""Snowflake in headrace flows. Names are imported when they are used, so that `import headrace_snowflake` costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_snowflake.credentials import InvalidPemFormat, SnowflakeCredentials
    from headrace_snowflake.database import (
        SnowflakeConnector,
        snowflake_multiquery,
        snowflake_multiquery_async,
        snowflake_query,
        snowflake_query_async,
        snowflake_query_sync,
    )

__all__ = [
    "InvalidPemFormat",
    "SnowflakeConnector",
    "SnowflakeCredentials",
    "snowflake_multiquery",
    "snowflake_multiquery_async",
    "snowflake_query",
    "snowflake_query_async",
    "snowflake_query_sync",
]


def __getattr__(name: str) -> Any:
    if name in ("InvalidPemFormat", "SnowflakeCredentials"):
        from headrace_snowflake import credentials

        return getattr(credentials, name)
    if name in __all__:
        from headrace_snowflake import database

        return getattr(database, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
