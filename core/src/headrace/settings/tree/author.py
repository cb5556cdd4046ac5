"""Settings of code that defines and runs flows: API, client, flows, tasks, results, logging, plugins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headrace.settings.declaration import Group, group, setting

if TYPE_CHECKING:
    from pydantic import SecretStr

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def _system_certificates(root: Any) -> str | None:
    from ssl import get_default_verify_paths

    return get_default_verify_paths().cafile


class APISettings(Group, path="api"):
    """How to reach the API."""

    url: str | None = setting(None, "Address of the API, with its path. Without it, runs are kept in the embedded database.")
    auth_string: SecretStr | None = setting(None, "`user:password` for an API that asks for basic authentication.")
    key: SecretStr | None = setting(None, "Key sent as bearer token to an API that asks for one.")
    tls_insecure_skip_verify: bool = setting(False, "Accept any TLS certificate. For development alone.")
    ssl_cert_file: str | None = setting(
        None,
        "File with the certificates of the authorities to trust.",
        compute=_system_certificates,
        shown="the system's certificates",
    )
    enable_http2: bool = setting(False, "Speak HTTP/2 where the API offers it.")
    request_timeout: float = setting(60.0, "Seconds to wait for an answer of the API.")

    def settings_advice(self) -> str | None:
        if self.url and not self.state.root.silence_api_url_misconfiguration and not self.url.rstrip("/").endswith("/api"):
            return (
                f"HEADRACE_API_URL is {self.url!r}, which does not end in '/api' as the address of an API usually does. "
                "If it is right, set HEADRACE_SILENCE_API_URL_MISCONFIGURATION=true."
            )
        return None


class CLISettings(Group, path="cli"):
    """How the command line looks."""

    colors: bool = setting(True, "Use colours on a terminal.")
    prompt: bool | None = setting(None, "Ask questions; None asks only on a terminal.")
    wrap_lines: bool = setting(True, "Wrap long lines at the width of the terminal.")


class ClientMetricsSettings(Group, path="client.metrics"):
    """Prometheus metrics of a client process."""

    enabled: bool = setting(False, "Serve metrics of this process.", was=("CLIENT_ENABLE_METRICS",))
    port: int = setting(4201, "Port of the metrics.")


class ClientSettings(Group, path="client"):
    """How requests to the API are made."""

    max_retries: int = setting(5, "How often a failed request is repeated; 0 never.", ge=0)
    retry_jitter_factor: float = setting(0.2, "How far waits between repeats are spread; 0 not at all.", ge=0)
    retry_extra_codes: set[int] = setting(
        help="HTTP statuses to repeat as well as 408, 429, 502 and 503.", compute=lambda root: set[int](), shown="none"
    )
    csrf_support_enabled: bool = setting(True, "Fetch a CSRF token and send it with every request that changes something.")
    custom_headers: dict[str, str] = setting(help="Headers to send with every request, as JSON.", compute=lambda root: dict[str, str](), shown="none")
    server_version_check_enabled: bool = setting(True, "Compare versions with the server when connecting.")
    metrics: ClientMetricsSettings = group(ClientMetricsSettings)


class DeploymentsSettings(Group, path="deployments"):
    """What a deployment uses when it says nothing else."""

    default_work_pool_name: str | None = setting(None, "Work pool of deployments that name none.", was=("DEFAULT_WORK_POOL_NAME",))
    default_docker_build_namespace: str | None = setting(
        None, "Registry and namespace put before the names of built images.", was=("DEFAULT_DOCKER_BUILD_NAMESPACE",)
    )


class EventsSettings(Group, path="events"):
    """Sending events."""

    worker_max_queue_size: int = setting(0, "Events waiting to be sent, at most; more are dropped with a warning. 0 sets no limit.", ge=0)


class PluginsSettings(Group, path="plugins"):
    """Plugins' startup hooks."""

    enabled: bool = setting(False, "Call the startup hooks of plugins.", was=("EXPERIMENTS_PLUGINS_ENABLED",))
    allow: set[str] | None = setting(None, "Plugins to load; all others are left out.", was=("EXPERIMENTS_PLUGINS_ALLOW",))
    deny: set[str] | None = setting(None, "Plugins to leave out.", was=("EXPERIMENTS_PLUGINS_DENY",))
    setup_timeout_seconds: float = setting(
        20.0, "Seconds that all startup hooks together may take.", was=("EXPERIMENTS_PLUGINS_SETUP_TIMEOUT_SECONDS",)
    )
    strict: bool = setting(False, "Exit when a required plugin fails at startup.", was=("EXPERIMENTS_PLUGINS_STRICT",))
    safe_mode: bool = setting(False, "Load plugins without calling their hooks.", was=("EXPERIMENTS_PLUGINS_SAFE_MODE",))


class ExperimentsSettings(Group, path="experiments"):
    """Features that may still change."""

    warn: bool = setting(True, "Warn when such a feature is used.", was=("EXPERIMENTAL_WARN",))
    plugins: PluginsSettings = group(PluginsSettings)


class FlowsSettings(Group, path="flows"):
    """What flows do when they say nothing else."""

    heartbeat_frequency: int | None = setting(
        180,
        "Seconds between the signs of life of a flow run; None sends none.",
        was=("RUNNER_HEARTBEAT_FREQUENCY",),
        ge=30,
    )
    default_retries: int = setting(0, "How often a failed flow is run again.", was=("FLOW_DEFAULT_RETRIES",), ge=0)
    default_retry_delay_seconds: int | float | list[float] = setting(
        0, "Seconds between these runs; a list gives each its own.", was=("FLOW_DEFAULT_RETRY_DELAY_SECONDS",)
    )


class InternalSettings(Group, path="internal"):
    """The machinery's own behaviour."""

    logging_level: Level = setting("ERROR", "Level of the machinery's own log.", was=("LOGGING_INTERNAL_LEVEL",))


class LoggingToAPISettings(Group, path="logging.to_api"):
    """Keeping the logs of runs with the runs."""

    enabled: bool = setting(True, "Send the logs of runs to the API.")
    batch_interval: float = setting(2.0, "Seconds between two deliveries.")
    batch_size: int = setting(4_000_000, "Bytes of one delivery, at most.")
    max_log_size: int = setting(1_000_000, "Bytes of one log entry, at most; longer ones are cut.")
    when_missing_flow: Literal["warn", "error", "ignore"] = setting("warn", "What to do when a run's logger is used outside a run.")

    def settings_problem(self) -> str | None:
        if self.max_log_size > self.batch_size:
            return (
                f"HEADRACE_LOGGING_TO_API_MAX_LOG_SIZE is {self.max_log_size}, but it should not be larger than "
                f"HEADRACE_LOGGING_TO_API_BATCH_SIZE, which is {self.batch_size}."
            )
        return None


class LoggingSettings(Group, path="logging"):
    """The log on the terminal."""

    level: Level = setting(
        help="Level of the loggers of flows and tasks.",
        compute=lambda root: "DEBUG" if root.debug_mode else "INFO",
        shown="`INFO`, or `DEBUG` in debug mode",
    )
    config_path: Path = setting(
        help="File with a logging configuration of your own.",
        compute=lambda root: root.home / "logging.yml",
        shown="`$HEADRACE_HOME/logging.yml`",
        was=("LOGGING_SETTINGS_PATH",),
    )
    extra_loggers: str | list[str] | None = setting(None, "Other loggers whose records belong to the run's log.")
    log_prints: bool = setting(False, "Turn `print` in flows and tasks into log records.")
    colors: bool = setting(True, "Colour the log on a terminal.")
    markup: bool = setting(False, "Read `[red]…[/red]` in messages as a style.")
    to_api: LoggingToAPISettings = group(LoggingToAPISettings)


class ResultsSettings(Group, path="results"):
    """Where the results of runs are kept."""

    default_serializer: str = setting("pickle", "Serializer of results that name none.")
    persist_by_default: bool = setting(False, "Keep the results of all runs that do not decide it themselves.")
    default_storage_block: str | None = setting(None, "Block that keeps results, as `type/name`.", was=("DEFAULT_RESULT_STORAGE_BLOCK",))
    local_storage_path: Path = setting(
        help="Folder of results that no block keeps.",
        compute=lambda root: root.home / "storage",
        shown="`$HEADRACE_HOME/storage`",
        was=("LOCAL_STORAGE_PATH",),
    )


class TasksRunnerSettings(Group, path="tasks.runner"):
    """Pools that submitted tasks run in."""

    thread_pool_max_workers: int | None = setting(
        None, "Threads of a thread pool; None sets no limit of its own.", was=("TASK_RUNNER_THREAD_POOL_MAX_WORKERS",)
    )
    process_pool_max_workers: int | None = setting(None, "Processes of a process pool; None takes one a core.")


class TasksSchedulingSettings(Group, path="tasks.scheduling"):
    """Background tasks, at the side that submits them."""

    default_storage_block: str | None = setting(
        None, "Block that keeps their parameters, as `type/name`.", was=("TASK_SCHEDULING_DEFAULT_STORAGE_BLOCK",)
    )
    delete_failed_submissions: bool = setting(
        True, "Delete the run of a task that could not be submitted.", was=("TASK_SCHEDULING_DELETE_FAILED_SUBMISSIONS",)
    )


class TasksSettings(Group, path="tasks"):
    """What tasks do when they say nothing else."""

    refresh_cache: bool = setting(False, "Run every task and write its cache anew.")
    default_no_cache: bool = setting(False, "Cache nothing for tasks without a policy of their own.")
    disable_caching: bool = setting(False, "Cache nothing at all.")
    default_retries: int = setting(0, "How often a failed task is run again.", was=("TASK_DEFAULT_RETRIES",), ge=0)
    default_retry_delay_seconds: int | float | list[float] | None = setting(
        0, "Seconds between these runs; a list gives each its own.", was=("TASK_DEFAULT_RETRY_DELAY_SECONDS",)
    )
    default_persist_result: bool | None = setting(None, "Keep the results of tasks; None follows the flow and `results.persist_by_default`.")
    runner: TasksRunnerSettings = group(TasksRunnerSettings)
    scheduling: TasksSchedulingSettings = group(TasksSchedulingSettings)


class TelemetrySettings(Group, path="telemetry"):
    """Measurements of runs."""

    enable_resource_metrics: bool = setting(True, "Measure memory and processor time of flow processes.")
    resource_metrics_interval_seconds: int = setting(10, "Seconds between two measurements.", ge=1)


class TestingSettings(Group, path="testing"):
    """Behaviour under test."""

    test_mode: bool = setting(False, "Ignore profiles, and do what tests need.", was=("TEST_MODE",))
    unit_test_mode: bool = setting(False, "Say that unit tests are running.", was=("UNIT_TEST_MODE",))
    unit_test_loop_debug: bool = setting(True, "Debug the event loop of unit tests.", was=("UNIT_TEST_LOOP_DEBUG",))
    test_setting: Any = setting(
        help="A setting to test settings with; None outside test mode.",
        compute=lambda root: "FOO" if root.testing.test_mode else None,
        shown="`FOO` in test mode",
        was=("TEST_SETTING",),
    )
