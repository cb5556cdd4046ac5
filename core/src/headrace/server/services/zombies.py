"""Finds runs whose process died without a word, and says that somebody is there to hear the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from headrace.client.connect import spool_folder, target_of
from headrace.client.delivery import recover
from headrace.client.embedded import EmbeddedClient
from headrace.model.caller import SERVICE
from headrace.operations.upkeep.signs_of_life import API_INTERVAL_SECONDS, note_api
from headrace.operations.upkeep.zombies import crash_silent_flow_runs, crash_silent_owners
from headrace.server.services.base import RunInWebservers
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesZombieDetectionSettings


class Presence(StepService, RunInWebservers):
    """Notes that signs of life are heard here. Without it silence means nothing, and nobody is taken for dead."""

    @classmethod
    def service_settings(cls) -> ServerServicesZombieDetectionSettings:
        return get_current_settings().server.services.zombie_detection

    def steps(self) -> Sequence[Step]:
        self.loop_seconds = API_INTERVAL_SECONDS
        return (note_api,)


class ZombieDetection(StepService):
    """Marks runs as Crashed whose process stopped giving signs of life, and those of processes on this machine that died."""

    @classmethod
    def service_settings(cls) -> ServerServicesZombieDetectionSettings:
        return get_current_settings().server.services.zombie_detection

    def steps(self) -> Sequence[Step]:
        settings = self.service_settings()
        return (
            partial(
                crash_silent_owners,
                timeout=timedelta(seconds=settings.timeout_seconds),
                patience=timedelta(seconds=settings.infrastructure_timeout_seconds),
            ),
            partial(crash_silent_flow_runs, timeout=timedelta(seconds=settings.flow_run_timeout_seconds)),
        )

    async def run_once(self) -> None:
        await super().run_once()
        settings = get_current_settings()
        if self.database.url == target_of(settings):  # processes on this machine that write to the same database without a server
            await asyncio.to_thread(recover, spool_folder(settings), EmbeddedClient(self.database, SERVICE))
