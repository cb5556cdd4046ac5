"""Writes events to the server's log, to see what happens."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from headrace.operations.events.emitting import EVENTS_TOPIC
from headrace.server.services.base import RunInWebservers
from headrace.server.services.steps import DatabaseService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesEventLoggerSettings


class EventLogger(DatabaseService, RunInWebservers):
    """Logs each event that this process stores: its time, name and resource."""

    def __init__(self) -> None:
        super().__init__()
        self._stop_wanted: asyncio.Event | None = None

    @classmethod
    def service_settings(cls) -> ServerServicesEventLoggerSettings:
        return get_current_settings().server.services.event_logger

    async def start(self) -> None:
        self._stop_wanted = asyncio.Event()
        self.logger.setLevel(logging.INFO)  # whoever enables this wants to see them, whatever level the server logs from
        self.database.listeners.append(self._log)
        try:
            await self._stop_wanted.wait()
        finally:
            self.database.listeners.remove(self._log)
            self.let_go()

    async def stop(self) -> None:
        if self._stop_wanted is not None:
            self._stop_wanted.set()

    def _log(self, published: Any) -> None:
        for topic, messages in published:
            if topic == EVENTS_TOPIC:
                for event in messages:
                    self.logger.info("%s %s %s", event.occurred.isoformat(timespec="milliseconds"), event.event, event.resource.id)
