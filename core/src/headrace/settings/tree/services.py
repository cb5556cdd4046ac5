"""Settings of the server's background services: each has `enabled`, most have `loop_seconds` and a batch size."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from headrace.settings.declaration import Group, group, setting

_ENABLED = "Run the service."
_LOOP = "Seconds between two rounds."


class ServicesBaseSetting(Group):
    """What the settings of every service have."""

    enabled: Any = True

    @classmethod
    def always(cls) -> ServicesBaseSetting:
        """Return the settings of a service that no setting switches: it is enabled."""
        return ServicesBaseSetting.__new__(ServicesBaseSetting)


class ServerServicesCancellationCleanupSettings(ServicesBaseSetting, path="server.services.cancellation_cleanup"):
    """Cancels what a cancelled flow run left unfinished."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_CANCELLATION_CLEANUP_ENABLED",))
    loop_seconds: float = setting(20, _LOOP, was=("API_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS",))
    cancelling_timeout_seconds: float = setting(300, "Seconds that a run may stay Cancelling before it counts as Cancelled.")


class ServerServicesDBVacuumSettings(ServicesBaseSetting, path="server.services.db_vacuum"):
    """Deletes what is older than it should be."""

    enabled: set[str] | bool | None = setting(
        help="What to delete: `events`, `flow_runs`; true is both, false only events, none nothing.",
        compute=lambda root: {"events"},
        shown="events",
    )
    loop_seconds: float = setting(3600, _LOOP)
    orphan_cleanup_loop_seconds: float = setting(86_400, "Seconds between two looks for rows whose run is gone.")
    retention_period: timedelta = setting(timedelta(days=90), "How long ended flow runs are kept.", ge=3600)
    batch_size: int = setting(200, "Rows deleted in one transaction.")
    event_retention_overrides: dict[str, timedelta] = setting(
        help="How long events of some names are kept, as JSON; never longer than all others.",
        compute=lambda root: {"prefect.flow-run.heartbeat": timedelta(days=7)},
        shown="heartbeats of flow runs for 7 days",
    )

    def enabled_vacuum_types(self) -> set[str]:
        """Return what is to be deleted, with true, false and None put in words."""
        if isinstance(self.enabled, bool):
            return {"events", "flow_runs"} if self.enabled else {"events"}
        return set(self.enabled or ())

    def settings_problem(self) -> str | None:
        unknown = self.enabled_vacuum_types() - {"events", "flow_runs"}
        if unknown:
            names = ", ".join(sorted(unknown))
            return f"HEADRACE_SERVER_SERVICES_DB_VACUUM_ENABLED names {names}, but it should name 'events' or 'flow_runs'."
        return None


class ServerServicesEventPersisterSettings(ServicesBaseSetting, path="server.services.event_persister"):
    """Writes events to the database."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_EVENT_PERSISTER_ENABLED",))
    batch_size: int = setting(20, "Events written at once.", was=("API_SERVICES_EVENT_PERSISTER_BATCH_SIZE",))
    read_batch_size: int = setting(1, "Events read at once.", was=("API_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE",))
    flush_interval: float = setting(
        5, "Seconds after which a batch is written though it is not full.", was=("API_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL",)
    )
    queue_max_size: int = setting(50_000, "Events waiting to be written, at most; more are dropped.")
    max_flush_retries: int = setting(5, "Failures in a row after which a batch is dropped.")


class ServerServicesEventLoggerSettings(ServicesBaseSetting, path="server.services.event_logger"):
    """Prints events to the server's log."""

    enabled: bool = setting(False, _ENABLED, was=("API_SERVICES_EVENT_LOGGER_ENABLED",))


class ServerServicesForemanSettings(ServicesBaseSetting, path="server.services.foreman"):
    """Marks workers, queues and deployments that nobody has heard of."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_FOREMAN_ENABLED",))
    loop_seconds: float = setting(15, _LOOP, was=("API_SERVICES_FOREMAN_LOOP_SECONDS",))
    inactivity_heartbeat_multiple: int = setting(
        3,
        "Signs of life that a worker may miss before it counts as offline.",
        was=("API_SERVICES_FOREMAN_INACTIVITY_HEARTBEAT_MULTIPLE",),
    )
    fallback_heartbeat_interval_seconds: int = setting(
        30,
        "Seconds between the signs of life of a worker that does not tell it.",
        was=("API_SERVICES_FOREMAN_FALLBACK_HEARTBEAT_INTERVAL_SECONDS",),
    )
    deployment_last_polled_timeout_seconds: int = setting(
        60,
        "Seconds without a poll after which a deployment is not ready.",
        was=("API_SERVICES_FOREMAN_DEPLOYMENT_LAST_POLLED_TIMEOUT_SECONDS",),
    )
    work_queue_last_polled_timeout_seconds: int = setting(
        60,
        "Seconds without a poll after which a work queue is not ready.",
        was=("API_SERVICES_FOREMAN_WORK_QUEUE_LAST_POLLED_TIMEOUT_SECONDS",),
    )


class ServerServicesLateRunsSettings(ServicesBaseSetting, path="server.services.late_runs"):
    """Marks runs that did not start in time."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_LATE_RUNS_ENABLED",))
    loop_seconds: float = setting(5, _LOOP, was=("API_SERVICES_LATE_RUNS_LOOP_SECONDS",))
    after_seconds: timedelta = setting(timedelta(seconds=15), "How long after its time a run is late.", was=("API_SERVICES_LATE_RUNS_AFTER_SECONDS",))


class ServerServicesSchedulerSettings(ServicesBaseSetting, path="server.services.scheduler"):
    """Makes runs from schedules."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_SCHEDULER_ENABLED",))
    loop_seconds: float = setting(60, _LOOP, was=("API_SERVICES_SCHEDULER_LOOP_SECONDS",))
    deployment_batch_size: int = setting(100, "Deployments looked at together.", was=("API_SERVICES_SCHEDULER_DEPLOYMENT_BATCH_SIZE",))
    max_runs: int = setting(100, "Coming runs of a deployment, at most.", was=("API_SERVICES_SCHEDULER_MAX_RUNS",))
    min_runs: int = setting(3, "Coming runs of a deployment, at least.", was=("API_SERVICES_SCHEDULER_MIN_RUNS",))
    max_scheduled_time: timedelta = setting(
        timedelta(days=100), "How far ahead runs are made, at most.", was=("API_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME",)
    )
    min_scheduled_time: timedelta = setting(
        timedelta(hours=1), "How far ahead runs are made, at least.", was=("API_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME",)
    )
    insert_batch_size: int = setting(500, "Runs written at once.", was=("API_SERVICES_SCHEDULER_INSERT_BATCH_SIZE",))
    recent_deployments_loop_seconds: float = setting(5, "Seconds between two looks for deployments that just changed.")


class ServerServicesPauseExpirationsSettings(ServicesBaseSetting, path="server.services.pause_expirations"):
    """Ends pauses that lasted too long."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_PAUSE_EXPIRATIONS_ENABLED",))
    loop_seconds: float = setting(5, _LOOP, was=("API_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS",))


class ServerServicesRepossessorSettings(ServicesBaseSetting, path="server.services.repossessor"):
    """Frees concurrency slots whose lease has run out."""

    enabled: bool = setting(True, _ENABLED)
    loop_seconds: float = setting(15, _LOOP)


class ServerServicesCleanupReconcilerSettings(ServicesBaseSetting, path="server.services.cleanup_reconciler"):
    """Sees to it that the infrastructure of ended runs is removed."""

    enabled: bool = setting(True, _ENABLED)
    loop_seconds: float = setting(5, _LOOP)
    batch_size: int = setting(100, "Runs looked at together.")


class ServerServicesTaskRunRecorderSettings(ServicesBaseSetting, path="server.services.task_run_recorder"):
    """Writes the task runs that arrive as events."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_TASK_RUN_RECORDER_ENABLED",))
    read_batch_size: int = setting(1, "Events read at once.")
    batch_size: int = setting(1, "Task runs written at once.")
    flush_interval: float = setting(5, "Seconds after which a batch is written though it is not full.")


class ServerServicesTriggersSettings(ServicesBaseSetting, path="server.services.triggers"):
    """Looks which automations an event fires."""

    enabled: bool = setting(True, _ENABLED, was=("API_SERVICES_TRIGGERS_ENABLED",))
    read_batch_size: int = setting(1, "Events read at once.")
    pg_notify_reconnect_interval_seconds: int = setting(10, "Seconds before listening to PostgreSQL again after an error.")
    pg_notify_heartbeat_interval_seconds: int = setting(5, "Seconds between checks that PostgreSQL is still heard.")


class ServerServicesZombieDetectionSettings(ServicesBaseSetting, path="server.services.zombie_detection"):
    """Marks runs as Crashed whose process died without a word."""

    enabled: bool = setting(True, _ENABLED)
    loop_seconds: float = setting(10, _LOOP, ge=0.1)
    timeout_seconds: float = setting(40, "Seconds without a sign of life after which a process counts as dead; it sends one every 10.", ge=5)
    flow_run_timeout_seconds: float = setting(
        90,
        "The same for flow runs of foreign clients, known by their heartbeat events; never less than three times the pace of these.",
        ge=30,
    )
    infrastructure_timeout_seconds: float = setting(
        900, "Seconds that the infrastructure of a run may take to come when its worker is dead; then the run is scheduled again.", ge=5
    )


class ServerServicesSettings(Group, path="server.services"):
    """Background services of the server."""

    cancellation_cleanup: ServerServicesCancellationCleanupSettings = group(ServerServicesCancellationCleanupSettings)
    cleanup_reconciler: ServerServicesCleanupReconcilerSettings = group(ServerServicesCleanupReconcilerSettings)
    db_vacuum: ServerServicesDBVacuumSettings = group(ServerServicesDBVacuumSettings)
    event_persister: ServerServicesEventPersisterSettings = group(ServerServicesEventPersisterSettings)
    event_logger: ServerServicesEventLoggerSettings = group(ServerServicesEventLoggerSettings)
    foreman: ServerServicesForemanSettings = group(ServerServicesForemanSettings)
    late_runs: ServerServicesLateRunsSettings = group(ServerServicesLateRunsSettings)
    scheduler: ServerServicesSchedulerSettings = group(ServerServicesSchedulerSettings)
    pause_expirations: ServerServicesPauseExpirationsSettings = group(ServerServicesPauseExpirationsSettings)
    repossessor: ServerServicesRepossessorSettings = group(ServerServicesRepossessorSettings)
    task_run_recorder: ServerServicesTaskRunRecorderSettings = group(ServerServicesTaskRunRecorderSettings)
    triggers: ServerServicesTriggersSettings = group(ServerServicesTriggersSettings)
    zombie_detection: ServerServicesZombieDetectionSettings = group(ServerServicesZombieDetectionSettings)
