"""Hearing from the server that there is something to do, so that a run starts as soon as it is due and not at the next poll."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from headrace.client.websocket import Reconnecting, http_to_ws
from headrace.model.errors import HeadraceHTTPStatusError, ServerUnreachable

if TYPE_CHECKING:
    from headrace.client.interface import Client

Work = Literal["due", "cancelling"]

RETRY_FIRST_SECONDS = 0.5
RETRY_SECONDS_MAX = 15.0

logger = logging.getLogger("headrace.deploy.dispatch")


async def due_work(
    client: Client, *, work_pool: str | None = None, queues: Iterable[str] = (), deployment_ids: Iterable[UUID] = (), prefetch_seconds: float = 0
) -> AsyncGenerator[Work]:
    """Yield `"due"` when runs of the pool or of the deployments may be waiting, `"cancelling"` when some are being cancelled.

    It is a hint to ask in the usual way, not an answer: it may come once too often, several reasons may be told as one, and queues of the
    pool that are not in `queues` count too. While nobody iterates nothing is sent. After every (re)connection `"due"` and `"cancelling"` come
    first, since something may have been missed; a connection that cannot be opened is tried again for ever, at most every 15 seconds, so poll
    besides. Ends at once without a server (`client` is embedded). `prefetch_seconds`: how long before its time a run counts as due.
    """
    url = getattr(client, "url", None) or getattr(client, "api_url", None)
    if not url:
        return
    from websockets.exceptions import ConnectionClosed

    subscription = {
        "type": "subscribe",
        "work_pool": work_pool,
        "work_queues": list(queues),
        "deployment_ids": [str(id) for id in deployment_ids],
        "prefetch_seconds": prefetch_seconds,
    }
    connection = Reconnecting(f"{http_to_ws(str(url))}/flow_runs/subscriptions/due", 0)
    pause = RETRY_FIRST_SECONDS
    try:
        while True:
            try:
                socket = await connection.open(subscription)
                yield "due"
                yield "cancelling"
                while True:
                    await socket.send('{"type":"ready"}')
                    what = json.loads(await socket.recv()).get("type")
                    pause = RETRY_FIRST_SECONDS
                    if what in ("due", "cancelling"):
                        yield what
            except (ConnectionClosed, ServerUnreachable, HeadraceHTTPStatusError, OSError) as error:
                logger.debug("The server cannot tell of work now (%s); connecting again in %s seconds.", error, pause)
                await connection.drop()
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)
    finally:
        await connection.drop()
