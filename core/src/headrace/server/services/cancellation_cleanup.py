"""Cancels what cancelled runs left unfinished."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from headrace.operations.upkeep.upkeep_cancelled import cancel_subflows, cancel_tasks, finish_cancelling
from headrace.server.services.steps import Step, StepService
from headrace.settings import get_current_settings
from headrace.settings.tree.services import ServerServicesCancellationCleanupSettings


class CancellationCleanup(StepService):
    """Cancels task runs and subflow runs of cancelled flow runs, and runs that are Cancelling for longer than `cancelling_timeout_seconds`."""

    @classmethod
    def service_settings(cls) -> ServerServicesCancellationCleanupSettings:
        return get_current_settings().server.services.cancellation_cleanup

    def steps(self) -> Sequence[Step]:
        timeout = timedelta(seconds=self.service_settings().cancelling_timeout_seconds)
        return (partial(finish_cancelling, timeout=timeout), cancel_tasks, cancel_subflows)
