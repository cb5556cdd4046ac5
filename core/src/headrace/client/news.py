"""Hearing of a flow run's states as the server knows them, by pushed events, so that whoever waits for it need not ask over and over."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client import bridge
from headrace.client.connect import current_client
from headrace.model.errors import HeadraceException

if TYPE_CHECKING:
    from headrace.client.interface import Client

ASK_SECONDS = 5.0
"""How often to ask all the same while news are pushed: an event may be lost with its connection."""

logger = logging.getLogger("headrace.client")


@asynccontextmanager
async def news_of(client: Client, flow_run_id: UUID) -> AsyncGenerator[Callable[[float, float], Awaitable[bool]]]:
    """Give a function `wait(seconds, most)` that waits until there may be news of a flow run.

    Where the server pushes them it waits for them, for `ASK_SECONDS` or `most` seconds if they are fewer. Nothing is pushed without a server, or by
    another than that of the settings, or while the connection is made: then it waits for `seconds`. It answers whether there were news.
    """
    if getattr(client, "url", None) is None or client is not current_client():
        yield _sleep
        return
    if bridge.in_blocking_run():
        news = _News(threading.Event())
        threading.Thread(target=copy_context().run, args=(news.listen_in_thread, flow_run_id), name="headrace-news", daemon=True).start()
        try:
            yield news.wait_blocking
        finally:
            news.stop()
        return
    news = _News(asyncio.Event())
    listening = asyncio.create_task(news.listen(flow_run_id))
    try:
        yield news.wait
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _sleep(seconds: float, most: float) -> bool:
    await bridge.asleep(min(seconds, most))
    return False


class _News:
    """What has been heard, and whether more would be."""

    def __init__(self, heard: Any) -> None:
        self._heard = heard
        self._is_connected = self._is_over = False
        self._stop: Callable[[], object] | None = None

    def _patience(self, seconds: float, most: float) -> float:
        return min(ASK_SECONDS if self._is_connected else seconds, most)

    async def wait(self, seconds: float, most: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), self._patience(seconds, most))
        return self._was_heard()

    async def wait_blocking(self, seconds: float, most: float) -> bool:
        self._heard.wait(self._patience(seconds, most))
        return self._was_heard()

    def _was_heard(self) -> bool:
        heard: bool = self._heard.is_set()
        self._heard.clear()
        return heard

    async def listen(self, flow_run_id: UUID) -> None:
        from headrace.client.subscriptions import get_events_subscriber
        from headrace.model.event_filters import EventFilter, EventNameFilter, EventResourceFilter

        wanted = EventFilter(
            event=EventNameFilter(prefix=["prefect.flow-run."]), resource=EventResourceFilter(id=[f"prefect.flow-run.{flow_run_id}"])
        )
        try:
            async with get_events_subscriber(wanted, reconnect_on_clean_close=True) as events:
                self._is_connected = True
                self._heard.set()  # it may have ended meanwhile
                async for _ in events:
                    self._heard.set()
        except (HeadraceException, OSError) as error:
            logger.debug("States of flow run %s are asked for, since they cannot be heard: %s", flow_run_id, error)
        finally:
            self._is_connected = False

    def listen_in_thread(self, flow_run_id: UUID) -> None:
        """Listen in a loop of this thread, until it is told to stop."""

        async def listen() -> None:
            task = asyncio.create_task(self.listen(flow_run_id))
            loop = asyncio.get_running_loop()
            self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
            if self._is_over:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        bridge.mode.set(None)
        asyncio.run(listen())

    def stop(self) -> None:
        """Have the thread end."""
        self._is_over = True
        if self._stop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._stop()
