"""Documented services without a loop of their own: others do their work at once, in the transaction that receives the data, or in the bus.

They are classes so that they are listed, asked for and switched as the pages say: their `enabled` setting is what those others obey.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from headrace.server.services.base import RunInAllServers, RunInEphemeralServers, Service
from headrace.settings import get_current_settings
from headrace.settings.tree.server import ServerEventsSettings, ServerLogsSettings
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

    @classmethod
    @abstractmethod
    def service_settings(cls) -> ServicesBaseSetting:
        """Return the settings that switch the service."""

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


class _StreamService(PassiveService, RunInAllServers, ABC):
    """Switched by the setting `stream_out_enabled` of what it streams."""

    @classmethod
    @abstractmethod
    def _streamed(cls) -> ServerEventsSettings | ServerLogsSettings: ...

    @classmethod
    def service_settings(cls) -> ServicesBaseSetting:
        settings = ServicesBaseSetting.always()
        settings.__dict__["enabled"] = cls._streamed().stream_out_enabled
        return settings

    @classmethod
    def environment_variable_name(cls) -> str:
        return cls._streamed().settings_declared["stream_out_enabled"].variable


class Distributor(_StreamService):
    """Hands events to the subscribers of `/events/out`; the bus does it, in every server."""

    @classmethod
    def _streamed(cls) -> ServerEventsSettings:
        return get_current_settings().server.events


class LogDistributor(_StreamService):
    """Hands log lines to the subscribers of `/logs/out`; the bus does it, in every server."""

    @classmethod
    def _streamed(cls) -> ServerLogsSettings:
        return get_current_settings().server.logs
