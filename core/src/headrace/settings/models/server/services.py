"""The documented place of these groups of settings."""

from headrace.settings.tree.services import (
    ServerServicesCancellationCleanupSettings,
    ServerServicesCleanupReconcilerSettings,
    ServerServicesDBVacuumSettings,
    ServerServicesEventLoggerSettings,
    ServerServicesEventPersisterSettings,
    ServerServicesForemanSettings,
    ServerServicesLateRunsSettings,
    ServerServicesPauseExpirationsSettings,
    ServerServicesRepossessorSettings,
    ServerServicesSchedulerSettings,
    ServerServicesSettings,
    ServerServicesTaskRunRecorderSettings,
    ServerServicesTriggersSettings,
    ServerServicesZombieDetectionSettings,
    ServicesBaseSetting,
)

__all__ = [
    "ServerServicesCancellationCleanupSettings",
    "ServerServicesCleanupReconcilerSettings",
    "ServerServicesDBVacuumSettings",
    "ServerServicesEventLoggerSettings",
    "ServerServicesEventPersisterSettings",
    "ServerServicesForemanSettings",
    "ServerServicesLateRunsSettings",
    "ServerServicesPauseExpirationsSettings",
    "ServerServicesRepossessorSettings",
    "ServerServicesSchedulerSettings",
    "ServerServicesSettings",
    "ServerServicesTaskRunRecorderSettings",
    "ServerServicesTriggersSettings",
    "ServerServicesZombieDetectionSettings",
    "ServicesBaseSetting",
]
