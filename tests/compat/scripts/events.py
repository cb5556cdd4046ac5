"""Emit events and hear them."""

import asyncio
import json

from prefect.events import emit_event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter


async def main() -> None:
    heard = []
    wanted = EventFilter(event=EventNameFilter(prefix=["mill."]))
    async with get_events_subscriber(filter=wanted) as subscriber:
        for number in range(3):
            emit_event(event=f"mill.turned.{number}", resource={"prefect.resource.id": f"mill.{number}"}, payload={"n": number})
        emit_event(event="other", resource={"prefect.resource.id": "mill.x"})
        async for event in subscriber:
            heard.append(event.event)
            if len(heard) == 3:
                break
    print(json.dumps({"heard": heard}))


asyncio.run(main())
