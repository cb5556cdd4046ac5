"""Documented services without a loop of their own: others do their work at once, in the transaction that receives the data, or in the bus.

They are classes so that they are listed, asked for and switched as the pages say: their `enabled` setting is what those others obey.
"""

from __future__ import annotations

import asyncio
from abc import ABC

from headrace.server.services.base import RunInAllServers, RunInEphemeralServers, Service
from headrace.settings import get_current_settings
from headrace.settings.declaration import Group
from headrace.settings.tree.services import (
    ServerServicesEventPersisterSettings,
    ServerServicesTaskRunRecorderSettings,
    ServicesBaseSetting,
)


class PassiveService(Service, ABC):
    """Has nothing to do: runs until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self._stop_wanted: asyncio.Event | None = None

    async def start(self) -> None:
        self._stop_wanted = asyncio.Event()
        await self._stop_wanted.wait()

    async def stop(self) -> None:
        if self._stop_wanted is not None:
            self._stop_wanted.set()


class EventPersister(PassiveService, RunInEphemeralServers):
    """Stores events as they arrive, in the transaction that receives them. Disabled, events are only streamed."""

    @classmethod
    def service_settings(cls) -> ServerServicesEventPersisterSettings:
        return get_current_settings().server.services.event_persister


class TaskRunRecorder(PassiveService, RunInEphemeralServers):
    """Makes task runs of the events that foreign clients send of them, in the transaction that receives them."""

    @classmethod
    def service_settings(cls) -> ServerServicesTaskRunRecorderSettings:
        return get_current_settings().server.services.task_run_recorder


class _StreamService(PassiveService, RunInAllServers):
    """Switched by the setting `stream_out_enabled` of what it streams."""

    _path: str

    @classmethod
    def service_settings(cls) -> ServicesBaseSetting:
        settings = ServicesBaseSetting.always()
        settings.__dict__["enabled"] = getattr(get_current_settings().server, cls._path).stream_out_enabled
        return settings

    @classmethod
    def environment_variable_name(cls) -> str:
        group: Group = getattr(get_current_settings().server, cls._path)
        return group.settings_declared["stream_out_enabled"].variable


class Distributor(_StreamService):
    """Hands events to the subscribers of `/events/out`; the bus does it, in every server."""

    _path = "events"


class LogDistributor(_StreamService):
    """Hands log lines to the subscribers of `/logs/out`; the bus does it, in every server."""

    _path = "logs"
