"""Looks after workers, and marks what nobody has heard of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from headrace.operations.deployments.deployment_readiness import mark_deployments_not_ready
from headrace.operations.pools.readiness import mark_pools_not_ready, mark_queues_not_ready, mark_workers_offline
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesForemanSettings


class Foreman(StepService):
    """Marks workers offline whose heartbeats stopped, work pools not ready that have no worker, queues and deployments that nobody polls."""

    @classmethod
    def service_settings(cls) -> ServerServicesForemanSettings:
        return get_current_settings().server.services.foreman

    def steps(self) -> Sequence[Step]:
        unheard_of = timedelta(seconds=self.service_settings().deployment_last_polled_timeout_seconds)
        return (mark_workers_offline, mark_pools_not_ready, mark_queues_not_ready, partial(mark_deployments_not_ready, after=unheard_of))
