"""Deletes what is older than it should be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from headrace.model import clock
from headrace.operations.events.event_pruning import prune_events
from headrace.operations.upkeep import upkeep_vacuum as vacuum
from headrace.server.services.base import RunInEphemeralServers
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesDBVacuumSettings


class DBVacuum(StepService, RunInEphemeralServers):
    """Deletes old events, if `enabled` names `events` and events are stored, and old flow runs with what lost its run, if it names `flow_runs`."""

    def __init__(self, loop_seconds: float | None = None, handle_signals: bool = False) -> None:
        super().__init__(loop_seconds, handle_signals)
        self._orphans_due = clock.monotonic()

    @classmethod
    def service_settings(cls) -> ServerServicesDBVacuumSettings:
        return get_current_settings().server.services.db_vacuum

    @classmethod
    def enabled(cls) -> bool:
        return bool(cls.service_settings().enabled_vacuum_types())

    def batch(self) -> int:
        return self.service_settings().batch_size

    def steps(self) -> Sequence[Step]:
        settings = self.service_settings()
        steps: list[Step] = []
        if "events" in settings.enabled_vacuum_types() and get_current_settings().server.services.event_persister.enabled:
            steps.append(prune_events)
        if "flow_runs" in settings.enabled_vacuum_types():
            now = clock.monotonic()
            if now >= self._orphans_due:
                self._orphans_due = now + settings.orphan_cleanup_loop_seconds
                steps += [vacuum.delete_orphaned_logs, vacuum.delete_orphaned_artifacts]
            steps.append(partial(vacuum.delete_old_flow_runs, retention=settings.retention_period))
        return steps
