"""The services that headrace brings, in the order in which they are listed."""

from __future__ import annotations

from headrace.server.services.base import Service
from headrace.server.services.cancellation_cleanup import CancellationCleanup
from headrace.server.services.db_vacuum import DBVacuum
from headrace.server.services.event_logger import EventLogger
from headrace.server.services.foreman import Foreman
from headrace.server.services.late_runs import MarkLateRuns
from headrace.server.services.passive import Distributor, EventPersister, LogDistributor, TaskRunRecorder
from headrace.server.services.pause_expirations import FailExpiredPauses
from headrace.server.services.repossessor import Repossessor
from headrace.server.services.scheduler import RecentDeploymentsScheduler, Scheduler
from headrace.server.services.zombies import Presence, ZombieDetection

SERVICES: tuple[type[Service], ...] = (
    Scheduler,
    RecentDeploymentsScheduler,
    MarkLateRuns,
    FailExpiredPauses,
    CancellationCleanup,
    Foreman,
    Repossessor,
    ZombieDetection,
    Presence,
    DBVacuum,
    TaskRunRecorder,
    EventPersister,
    EventLogger,
    Distributor,
    LogDistributor,
)
