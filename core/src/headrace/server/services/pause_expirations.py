"""Fails runs that were paused for too long."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.operations.upkeep.upkeep_scheduled import fail_expired_pauses
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesPauseExpirationsSettings


class FailExpiredPauses(StepService):
    """Fails paused and suspended runs that were not resumed before their timeout."""

    @classmethod
    def service_settings(cls) -> ServerServicesPauseExpirationsSettings:
        return get_current_settings().server.services.pause_expirations

    def steps(self) -> Sequence[Step]:
        return (fail_expired_pauses,)
