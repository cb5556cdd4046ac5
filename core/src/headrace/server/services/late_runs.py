"""Marks runs that did not start in time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from headrace.operations.upkeep.upkeep_scheduled import mark_late
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesLateRunsSettings


class MarkLateRuns(StepService):
    """Marks scheduled runs as Late that should have started `after_seconds` ago."""

    @classmethod
    def service_settings(cls) -> ServerServicesLateRunsSettings:
        return get_current_settings().server.services.late_runs

    def steps(self) -> Sequence[Step]:
        return (partial(mark_late, after=self.service_settings().after_seconds),)
