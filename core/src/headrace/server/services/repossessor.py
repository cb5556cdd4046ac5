"""Takes concurrency slots from those who hold them no more."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.operations.upkeep.upkeep_leases import revoke_expired, revoke_of_ended
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesRepossessorSettings


class Repossessor(StepService):
    """Revokes leases that have expired, and those of runs that have ended. The first round, at the start, puts right what a crash left."""

    @classmethod
    def service_settings(cls) -> ServerServicesRepossessorSettings:
        return get_current_settings().server.services.repossessor

    def steps(self) -> Sequence[Step]:
        return (revoke_expired, revoke_of_ended)
