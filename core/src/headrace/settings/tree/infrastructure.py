"""Settings of processes that start runs: the runner and workers."""

from __future__ import annotations

from headrace.settings.declaration import Group, group, setting
from headrace.settings.tree.author import Level


class RunnerServerSettings(Group, path="runner.server"):
    """Health endpoint of a runner."""

    enable: bool = setting(False, "Serve the health endpoint.")
    host: str = setting("localhost", "Address to listen at.")
    port: int = setting(8080, "Port to listen at.")
    log_level: Level = setting("ERROR", "Level of the endpoint's log.")
    missed_polls_tolerance: int = setting(2, "Polls a runner may miss and still count as healthy.")


class RunnerSettings(Group, path="runner"):
    """Served deployments."""

    process_limit: int = setting(5, "Flow runs at once, at most.")
    poll_frequency: int = setting(10, "Seconds between two looks for scheduled runs.")
    crash_on_cancellation_failure: bool = setting(False, "Stop, with all runs marked as crashed, when cancellations can no longer be noticed.")
    auto_install_dependencies: bool = setting(False, "Install the packages that a flow's project asks for before it runs.")
    server: RunnerServerSettings = group(RunnerServerSettings)


class WorkerWebserverSettings(Group, path="worker.webserver"):
    """Health endpoint of a worker."""

    host: str = setting("0.0.0.0", "Address to listen at.")
    port: int = setting(8080, "Port to listen at.")


class WorkerSettings(Group, path="worker"):
    """Workers of work pools."""

    debug_mode: bool = setting(False, "Debug the worker, not the runs that it starts.")
    heartbeat_seconds: float = setting(30, "Seconds between two signs of life.")
    query_seconds: float = setting(10, "Seconds between two looks for scheduled runs.")
    prefetch_seconds: float = setting(10, "Seconds before its time that a run is fetched.")
    enable_cancellation: bool = setting(False, "Stop the infrastructure of runs that are cancelled before they start.")
    cancellation_poll_seconds: float = setting(120, "Seconds between looks for cancelled runs, besides the event stream.")
    webserver: WorkerWebserverSettings = group(WorkerWebserverSettings)
