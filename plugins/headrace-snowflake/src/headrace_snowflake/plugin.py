"""What headrace-snowflake offers."""

from __future__ import annotations

from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

_SDK = ("snowflake.connector",)


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Offer the blocks that hold how to log in, and what to query."""
    return [
        Offer("snowflake-credentials", "headrace_snowflake.credentials:SnowflakeCredentials", "How to log in to a Snowflake account", modules=_SDK),
        Offer(
            "snowflake-connector",
            "headrace_snowflake.database:SnowflakeConnector",
            "A database in Snowflake, and the warehouse to query it with",
            modules=_SDK,
        ),
    ]


@hookimpl
def headrace_workers() -> list[Offer]:
    """Offer the worker that runs flows in Snowflake."""
    return [
        Offer(
            "snowpark-container-service",
            "headrace_snowflake.experimental.workers.spcs:SPCSWorker",
            "Runs flows as job services of Snowpark Container Services",
            modules=_SDK,
        )
    ]
