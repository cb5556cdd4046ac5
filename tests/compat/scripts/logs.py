"""Hear the log lines of a flow while it runs."""

import asyncio
import json

from prefect import flow, get_run_logger
from prefect.client.schemas.filters import LogFilter, LogFilterLevel
from prefect.logging.clients import get_logs_subscriber


@flow
async def talks() -> None:
    get_run_logger().error("the wheel turns")


async def main() -> None:
    async with get_logs_subscriber(filter=LogFilter(level=LogFilterLevel(ge_=40))) as subscriber:
        await talks()
        async for line in subscriber:
            print(json.dumps({"heard": line.message}))
            break


asyncio.run(main())
