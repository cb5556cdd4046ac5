"""Settings of the server: its API, database, events and user interface. Its services have a module of their own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headrace.settings.declaration import Group, group, setting
from headrace.settings.tree.author import Level
from headrace.settings.tree.services import ServerServicesSettings

if TYPE_CHECKING:
    from pydantic import SecretStr


class ServerAPISettings(Group, path="server.api"):
    """The HTTP side of the server."""

    auth_string: SecretStr | None = setting(None, "`user:password` that clients must send; None lets everybody in.")
    host: str = setting("127.0.0.1", "Address to listen at.")
    port: int = setting(4200, "Port to listen at.")
    base_path: str | None = setting(None, "Path that the API is served under, as `/v2/api`.")
    default_limit: int = setting(200, "Objects in one answer, at most.", was=("API_DEFAULT_LIMIT",))
    keepalive_timeout: int = setting(5, "Seconds that an idle connection is kept; more than a load balancer keeps it.")
    csrf_protection_enabled: bool = setting(
        False, "Demand a CSRF token with every request that changes something.", was=("SERVER_CSRF_PROTECTION_ENABLED",)
    )
    csrf_token_expiration: timedelta = setting(timedelta(hours=1), "How long a CSRF token is good.", was=("SERVER_CSRF_TOKEN_EXPIRATION",))
    cors_allowed_origins: str = setting("*", "Origins that browsers may call from, with commas.", was=("SERVER_CORS_ALLOWED_ORIGINS",))
    cors_allowed_methods: str = setting("*", "Methods that browsers may use, with commas.", was=("SERVER_CORS_ALLOWED_METHODS",))
    cors_allowed_headers: str = setting("*", "Headers that browsers may send, with commas.", was=("SERVER_CORS_ALLOWED_HEADERS",))
    websocket_ping_interval: float = setting(20.0, "Seconds between two pings on a websocket.")
    websocket_ping_timeout: float = setting(20.0, "Seconds to wait for the answer to a ping.")
    max_parameter_size: int = setting(524_288, "Bytes of a run's parameters as JSON, at most; 0 sets no limit.", ge=0)


class ServerConcurrencySettings(Group, path="server.concurrency"):
    """Concurrency limits."""

    lease_storage: str = setting("headrace.server.concurrency.lease_storage.memory", "Module that keeps the leases of slots.")
    initial_deployment_lease_duration: float = setting(300.0, "Seconds of the first lease of a deployment's slot.", ge=30, le=3600)
    maximum_concurrency_slot_wait_seconds: float = setting(30, "Seconds to wait before asking for a taken slot again, at most.", ge=0)


class SQLAlchemyTLSSettings(Group, path="server.database.sqlalchemy.connect_args.tls"):
    """TLS of connections to PostgreSQL."""

    enabled: bool = setting(False, "Connect with TLS and a client certificate.")
    ca_file: str | None = setting(None, "File with the authority that the database's certificate is checked with.")
    cert_file: str | None = setting(None, "File with the client certificate.")
    key_file: str | None = setting(None, "File with the key of the client certificate.")
    check_hostname: bool = setting(True, "Check that the certificate is for the host.")


class SQLAlchemyConnectArgsSettings(Group, path="server.database.sqlalchemy.connect_args"):
    """Arguments of connections to PostgreSQL."""

    application_name: str | None = setting(None, "Name that the database shows for these connections.")
    search_path: str | None = setting(None, "Schemas to look in, with commas; `public` should be among them.")
    statement_cache_size: int | None = setting(None, "Statements to keep prepared; 0 behind a pool of transactions.")
    prepared_statement_cache_size: int | None = setting(None, "Prepared statements to keep; 0 keeps none.")
    tls: SQLAlchemyTLSSettings = group(SQLAlchemyTLSSettings)


class SQLAlchemySettings(Group, path="server.database.sqlalchemy"):
    """The pool of connections to PostgreSQL."""

    pool_size: int = setting(5, "Connections to keep open.", was=("SQLALCHEMY_POOL_SIZE",))
    pool_recycle: int = setting(3600, "Seconds after which a connection is replaced; -1 never.")
    pool_timeout: float | None = setting(30.0, "Seconds to wait for a free connection.")
    max_overflow: int = setting(10, "Connections beyond the pool, at most; -1 sets no limit.", was=("SQLALCHEMY_MAX_OVERFLOW",))
    connect_args: SQLAlchemyConnectArgsSettings = group(SQLAlchemyConnectArgsSettings)


def _connection_url(root: Any) -> SecretStr:
    """Build the address from its parts, or point to the file in the home directory."""
    from urllib.parse import quote

    from pydantic import SecretStr

    database: ServerDatabaseSettings = root.server.database
    if database.driver is None or database.driver.startswith("sqlite"):
        scheme = database.driver or "sqlite"
        return SecretStr(f"{scheme}:///{database.name or root.home / 'headrace.db'}")
    user = quote(database.user or "", safe="")
    password = f":{quote(database.password.get_secret_value(), safe='')}" if database.password else ""
    port = f":{database.port}" if database.port else ""
    return SecretStr(f"{database.driver}://{user}{password}@{database.host}{port}/{database.name}")


class ServerDatabaseSettings(Group, path="server.database"):
    """The database, embedded or of a server."""

    connection_url: SecretStr = setting(
        help="Address of the database, for SQLite or PostgreSQL.",
        compute=_connection_url,
        shown="made of the parts below, else `$HEADRACE_HOME/headrace.db`",
        was=("API_DATABASE_CONNECTION_URL",),
    )
    driver: Literal["postgresql", "postgresql+psycopg", "postgresql+asyncpg", "sqlite", "sqlite+aiosqlite"] | None = setting(
        None, "Kind of database, when the address is given in parts.", was=("API_DATABASE_DRIVER",)
    )
    host: str | None = setting(None, "Host of the database.", was=("API_DATABASE_HOST",))
    port: int | None = setting(None, "Port of the database.", was=("API_DATABASE_PORT",))
    user: str | None = setting(None, "User of the database.", was=("API_DATABASE_USER",))
    name: str | None = setting(None, "Name of the database, or the path of its file.", was=("API_DATABASE_NAME",))
    password: SecretStr | None = setting(None, "Password of the database.", was=("API_DATABASE_PASSWORD",))
    echo: bool = setting(False, "Log every statement.", was=("API_DATABASE_ECHO",))
    migrate_on_start: bool = setting(True, "Bring the schema up to date at the start.", was=("API_DATABASE_MIGRATE_ON_START",))
    timeout: float | None = setting(10.0, "Seconds that a statement may take.", was=("API_DATABASE_TIMEOUT",))
    connection_timeout: float | None = setting(5.0, "Seconds that connecting may take.", was=("API_DATABASE_CONNECTION_TIMEOUT",))
    migration_timeout: float | None = setting(None, "Seconds that a statement of a migration may take; None sets no limit.")
    sqlalchemy: SQLAlchemySettings = group(SQLAlchemySettings)

    def settings_problem(self) -> str | None:
        if "connection_url" in self.model_fields_set or not (self.driver or "").startswith("postgresql"):
            return None
        missing = [name for name in ("host", "user", "name") if getattr(self, name) is None]
        if missing:
            names = ", ".join(f"HEADRACE_SERVER_DATABASE_{name.upper()}" for name in missing)
            return f"HEADRACE_SERVER_DATABASE_DRIVER is {self.driver!r}, so {names} should be set as well."
        return None

    def settings_advice(self) -> str | None:
        raw = self.state.found.get("server.database.connection_url")
        if self.password is None or raw is None or "DATABASE_PASSWORD" in str(raw.raw.value):
            return None
        return (
            "HEADRACE_SERVER_DATABASE_PASSWORD is set, but HEADRACE_SERVER_DATABASE_CONNECTION_URL does not use it. "
            "Write $HEADRACE_SERVER_DATABASE_PASSWORD in the address, or unset one of the two."
        )


class ServerDeploymentsSettings(Group, path="server.deployments"):
    """Deployments."""

    concurrency_slot_wait_seconds: float = setting(
        30.0,
        "Seconds after which a run asks again for a taken slot of its deployment.",
        was=("DEPLOYMENT_CONCURRENCY_SLOT_WAIT_SECONDS",),
        ge=0,
    )


class ServerDocketSettings(Group, path="server.docket"):
    """The queue between servers that share their services."""

    name: str = setting("headrace-server", "Name of the queue.")
    url: str = setting("memory://", "Address of the queue.")


class ServerEphemeralSettings(Group, path="server.ephemeral"):
    """A server of a process's own. Without an API address runs are embedded, so this is rarely wanted."""

    enabled: bool = setting(False, "Allow such a server.", was=("SERVER_ALLOW_EPHEMERAL_MODE",))
    startup_timeout_seconds: int = setting(20, "Seconds that its start may take.")


class ServerEventsSettings(Group, path="server.events"):
    """Events."""

    stream_out_enabled: bool = setting(True, "Stream events to websockets.", was=("API_EVENTS_STREAM_OUT_ENABLED",))
    related_resource_cache_ttl: timedelta = setting(
        timedelta(minutes=5),
        "How long the resources related to a run are remembered.",
        was=("API_EVENTS_RELATED_RESOURCE_CACHE_TTL",),
    )
    maximum_labels_per_resource: int = setting(500, "Labels of a resource, at most.", was=("EVENTS_MAXIMUM_LABELS_PER_RESOURCE",))
    maximum_related_resources: int = setting(100, "Related resources of an event, at most.", was=("EVENTS_MAXIMUM_RELATED_RESOURCES",))
    maximum_size_bytes: int = setting(1_500_000, "Bytes of an event as JSON, at most.", was=("EVENTS_MAXIMUM_SIZE_BYTES",))
    expired_bucket_buffer: timedelta = setting(
        timedelta(minutes=1), "How long automations' expired buckets are kept.", was=("EVENTS_EXPIRED_BUCKET_BUFFER",)
    )
    proactive_granularity: timedelta = setting(
        timedelta(seconds=5), "How often proactive automations are looked at.", was=("EVENTS_PROACTIVE_GRANULARITY",)
    )
    retention_period: timedelta = setting(timedelta(days=7), "How long events are kept.", was=("EVENTS_RETENTION_PERIOD",))
    maximum_websocket_backfill: timedelta = setting(
        timedelta(minutes=15),
        "How far back a new subscriber may ask for events.",
        was=("EVENTS_MAXIMUM_WEBSOCKET_BACKFILL",),
    )
    websocket_backfill_page_size: int = setting(250, "Events read at once for that.", was=("EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE",))
    messaging_broker: str = setting(
        "headrace.server.utilities.messaging.memory", "Module that carries events to services.", was=("MESSAGING_BROKER",)
    )
    messaging_cache: str = setting("headrace.server.utilities.messaging.memory", "Module that recognises repeated events.", was=("MESSAGING_CACHE",))
    causal_ordering: str = setting("headrace.server.events.ordering.memory", "Module that puts events behind those they follow.")
    maximum_event_name_length: int = setting(1024, "Characters of an event's name, at most.")


class ServerFlowRunGraphSettings(Group, path="server.flow_run_graph"):
    """The graph of a flow run."""

    max_nodes: int = setting(10_000, "Nodes, at most.", was=("API_MAX_FLOW_RUN_GRAPH_NODES",))
    max_artifacts: int = setting(10_000, "Artifacts, at most.", was=("API_MAX_FLOW_RUN_GRAPH_ARTIFACTS",))


class ServerLogsSettings(Group, path="server.logs"):
    """Streaming of logs."""

    stream_out_enabled: bool = setting(True, "Stream logs to websockets.")
    stream_publishing_enabled: bool = setting(True, "Publish logs for streaming.")


class ServerTasksSchedulingSettings(Group, path="server.tasks.scheduling"):
    """Background tasks, at the server."""

    max_scheduled_queue_size: int = setting(1000, "Scheduled tasks in the queue, at most.", was=("TASK_SCHEDULING_MAX_SCHEDULED_QUEUE_SIZE",))
    max_retry_queue_size: int = setting(100, "Tasks to run again in the queue, at most.", was=("TASK_SCHEDULING_MAX_RETRY_QUEUE_SIZE",))
    pending_task_timeout: timedelta = setting(
        timedelta(0),
        "How long a pending task is left to its worker before another may take it; 0 for ever.",
        was=("TASK_SCHEDULING_PENDING_TASK_TIMEOUT",),
    )


class ServerTasksSettings(Group, path="server.tasks"):
    """Task runs."""

    tag_concurrency_slot_wait_seconds: float = setting(
        10,
        "Seconds after which a task asks again for a taken slot of a tag.",
        was=("TASK_RUN_TAG_CONCURRENCY_SLOT_WAIT_SECONDS",),
        ge=0,
    )
    max_cache_key_length: int = setting(2000, "Characters of a cache key, at most.", was=("API_TASK_CACHE_KEY_MAX_LENGTH",))
    scheduling: ServerTasksSchedulingSettings = group(ServerTasksSchedulingSettings)


def _ui_api_url(root: Any) -> str:
    api: ServerAPISettings = root.server.api
    return root.api.url or f"http://{api.host}:{api.port}{api.base_path or '/api'}"


class ServerUISettings(Group, path="server.ui"):
    """The user interface."""

    enabled: bool = setting(True, "Serve the user interface.", was=("UI_ENABLED",))
    v2_enabled: bool = setting(False, "Serve the newest user interface.")
    api_url: str | None = setting(
        None,
        "Address of the API for the browser.",
        compute=_ui_api_url,
        shown="`HEADRACE_API_URL`, else host and port of the server",
        was=("UI_API_URL",),
    )
    serve_base: str = setting("/", "Path that the user interface is served under.", was=("UI_SERVE_BASE",))
    static_directory: str | None = setting(
        None, "Folder to put the served files in, when the installed one cannot be written.", was=("UI_STATIC_DIRECTORY",)
    )
    show_promotional_content: bool = setting(True, "Show notices of the project.")


class ServerSettings(Group, path="server"):
    """The server."""

    logging_level: Level = setting("WARNING", "Level of the server's log.", was=("LOGGING_SERVER_LEVEL",))
    metrics_enabled: bool = setting(False, "Serve Prometheus metrics.", was=("API_ENABLE_METRICS",))
    compat_version: str = setting("3.8.8", "Version that clients are told, which they compare with their own: a release of the documented API.")
    log_retryable_errors: bool = setting(False, "Log errors that are tried again.", was=("API_LOG_RETRYABLE_ERRORS",))
    register_blocks_on_start: bool = setting(True, "Register the known block types at the start.", was=("API_BLOCKS_REGISTER_ON_START",))
    memoize_block_auto_registration: bool = setting(
        True, "Skip that when nothing has changed since the last start.", was=("MEMOIZE_BLOCK_AUTO_REGISTRATION",)
    )
    encryption_key: SecretStr | None = setting(
        None, "Fernet key that block values are encrypted with, several with commas: the first encrypts, all decrypt. Else a file in home."
    )
    memo_store_path: Path = setting(
        help="File that remembers the last start.",
        compute=lambda root: root.home / "memo_store.toml",
        shown="`$HEADRACE_HOME/memo_store.toml`",
        was=("MEMO_STORE_PATH",),
    )
    deployment_schedule_max_scheduled_runs: int = setting(
        50, "Scheduled runs of a deployment, at most.", was=("DEPLOYMENT_SCHEDULE_MAX_SCHEDULED_RUNS",)
    )

    api: ServerAPISettings = group(ServerAPISettings)
    concurrency: ServerConcurrencySettings = group(ServerConcurrencySettings)
    database: ServerDatabaseSettings = group(ServerDatabaseSettings)
    deployments: ServerDeploymentsSettings = group(ServerDeploymentsSettings)
    docket: ServerDocketSettings = group(ServerDocketSettings)
    ephemeral: ServerEphemeralSettings = group(ServerEphemeralSettings)
    events: ServerEventsSettings = group(ServerEventsSettings)
    flow_run_graph: ServerFlowRunGraphSettings = group(ServerFlowRunGraphSettings)
    logs: ServerLogsSettings = group(ServerLogsSettings)
    services: ServerServicesSettings = group(ServerServicesSettings)
    tasks: ServerTasksSettings = group(ServerTasksSettings)
    ui: ServerUISettings = group(ServerUISettings)
