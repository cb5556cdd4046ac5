"""Makes the coming runs of schedules."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.operations.deployments.scheduling import schedule_due_deployments, schedule_recent_deployments
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesSchedulerSettings


class Scheduler(StepService):
    """Makes runs for deployments whose active schedules have too few coming ones. A run is made once, however many servers do this."""

    @classmethod
    def service_settings(cls) -> ServerServicesSchedulerSettings:
        return get_current_settings().server.services.scheduler

    def batch(self) -> int:
        return self.service_settings().deployment_batch_size

    def steps(self) -> Sequence[Step]:
        return (schedule_due_deployments,)


class RecentDeploymentsScheduler(Scheduler):
    """Makes the first runs of deployments that have just been made or changed."""

    def __init__(self, loop_seconds: float | None = None, handle_signals: bool = False) -> None:
        period = self.service_settings().recent_deployments_loop_seconds if loop_seconds is None else loop_seconds
        super().__init__(period, handle_signals)

    def steps(self) -> Sequence[Step]:
        return (schedule_recent_deployments,)
