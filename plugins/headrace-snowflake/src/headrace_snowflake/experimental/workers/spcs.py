"""The worker for Snowpark Container Services: each run is a job service in a compute pool of Snowflake.

headrace worker start --pool my-pool --type snowpark-container-service
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

import headrace
from headrace.exceptions import InfrastructureNotFound
from headrace.workers.base import BaseWorkerResult
from headrace.workers.remote import Failure, JobLogs, JobStatus, RemoteJobConfiguration, RemoteJobVariables, RemoteJobWorker
from headrace_snowflake import services
from headrace_snowflake.credentials import SnowflakeCredentials

CONTAINER = "headrace-job"
"""The container that runs the flow, unless the manifest names it otherwise."""
LOG_LINES_MAX = 1000
"""Lines of a container's output that are asked for at once: its last ones."""
LOG_BYTES_WHOLE = 90_000
"""Snowflake returns 100 KB at most; a shorter answer has all that was asked for."""
OVERLAP_LINES = 50
NAME_SIZE = 60

_OVER = ("DONE", "FAILED", "INTERNAL_ERROR", "SUSPENDED", "SUSPENDING", "DELETING", "DELETED", "CANCELLED", "CANCELLING")

_TEXTS = {
    "image": "The image of containers, in a repository of the account: `/database/schema/repository/image:tag`, or what follows `image_registry`.",
    "image_registry": "What is put before the image's name, as `/database/schema/repository`.",
    "entrypoint": "The program that the command is given to as arguments. Default: none, the command itself is run.",
    "snowflake_credentials": "How to log in to Snowflake: a block of type snowflake-credentials.",
    "secrets": "Secrets of Snowflake for the container, as the specification has them: "
    '{"snowflakeSecret": {"objectName": "..."}, "secretKeyRef": "password", "envVarName": "..."}.',
    "secret_env": "Environment variables that are filled from secrets of Snowflake: the variable's name, and the secret's: `database.schema.secret`, "
    "with `:username` or `:password` behind it for a part of it. So HEADRACE_API_KEY stands in no statement.",
    "external_access_integrations": "Integrations by which containers may reach what is outside of Snowflake, as your server.",
    "compute_pool": "Where jobs run, and where they are made: `database.schema.pool`.",
    "cpu_request": "Virtual cores that a container gets at least.",
    "cpu_limit": "Virtual cores that a container may use.",
    "gpu_count": "GPUs for a container.",
    "memory_request": "Memory that a container gets at least, with a unit: 512M, 2G.",
    "memory_limit": "Memory that a container may use, with a unit.",
    "volume_mounts": "Where volumes appear in the container: a name and a mountPath each.",
    "volumes": "Volumes, as the specification has them: a name and a source each.",
    "log_level": "What of the container's output goes into the account's event table.",
    "metrics_groups": "Groups of metrics of the platform that go into the account's event table, as `system` or `network`.",
    "query_warehouse": "The warehouse for queries that containers send without naming one.",
    "service_comment": "The comment of the job service. Default: the run's name and id.",
    "stream_output": "Whether the output of containers is shown on the worker's own.",
    "pool_start_timeout_seconds": "How long the compute pool may take to have a node for the job.",
    "service_start_timeout_seconds": "How long the container may take to run after that.",
    "service_watch_poll_interval": "How many seconds lie between two looks at a job.",
    "job_manifest": "The specification of the job service. Its first container runs the flow.",
}

_MANIFEST: dict[str, Any] = {
    "spec": {
        "containers": [
            {
                "name": CONTAINER,
                "resources": {
                    "requests": {"cpu": "{{ cpu_request }}", "memory": "{{ memory_request }}", "nvidia.com/gpu": "{{ gpu_count }}"},
                    "limits": {"cpu": "{{ cpu_limit }}", "memory": "{{ memory_limit }}", "nvidia.com/gpu": "{{ gpu_count }}"},
                },
                "secrets": "{{ secrets }}",
                "volumeMounts": "{{ volume_mounts }}",
            }
        ],
        "volumes": "{{ volumes }}",
        "logExporters": {"eventTableConfig": {"logLevel": "{{ log_level }}"}},
        "platformMonitor": {"metricConfig": {"groups": "{{ metrics_groups }}"}},
    }
}


def default_image() -> str:
    """Return the image of runs for which none is configured: headrace's own of this version."""
    return f"headrace:{headrace.__version__}"


class SPCSServiceTemplateVariables(RemoteJobVariables):
    """What can be configured of a run's job service."""

    image: str | None = Field(default=None, description=_TEXTS["image"])
    image_registry: str | None = Field(default=None, description=_TEXTS["image_registry"])
    entrypoint: str | None = Field(default=None, description=_TEXTS["entrypoint"])
    snowflake_credentials: SnowflakeCredentials | None = Field(default=None, description=_TEXTS["snowflake_credentials"])
    secrets: list[dict[str, Any]] = Field(default_factory=list, description=_TEXTS["secrets"])
    secret_env: dict[str, str] = Field(default_factory=dict, title="Secret Environment Variables", description=_TEXTS["secret_env"])
    external_access_integrations: list[str] = Field(default_factory=list, description=_TEXTS["external_access_integrations"])
    compute_pool: str | None = Field(default=None, description=_TEXTS["compute_pool"])
    cpu_request: str = Field(default="1", description=_TEXTS["cpu_request"])
    cpu_limit: str | None = Field(default="2", description=_TEXTS["cpu_limit"])
    gpu_count: int | None = Field(default=None, ge=1, description=_TEXTS["gpu_count"])
    memory_request: str = Field(default="1G", description=_TEXTS["memory_request"])
    memory_limit: str | None = Field(default="2G", description=_TEXTS["memory_limit"])
    volume_mounts: list[dict[str, str]] = Field(default_factory=list, description=_TEXTS["volume_mounts"])
    volumes: list[dict[str, Any]] = Field(default_factory=list, description=_TEXTS["volumes"])
    log_level: Literal["INFO", "ERROR", "NONE"] = Field(default="INFO", description=_TEXTS["log_level"])
    metrics_groups: list[str] = Field(default_factory=list, description=_TEXTS["metrics_groups"])
    query_warehouse: str | None = Field(default=None, description=_TEXTS["query_warehouse"])
    service_comment: str | None = Field(default=None, description=_TEXTS["service_comment"])
    stream_output: bool = Field(default=False, description=_TEXTS["stream_output"])
    pool_start_timeout_seconds: int = Field(default=600, ge=1, description=_TEXTS["pool_start_timeout_seconds"])
    service_start_timeout_seconds: int = Field(default=300, ge=1, description=_TEXTS["service_start_timeout_seconds"])
    service_watch_poll_interval: int = Field(default=5, ge=1, description=_TEXTS["service_watch_poll_interval"])


class SPCSWorkerConfiguration(RemoteJobConfiguration):
    """What a run's job service is made from."""

    job_manifest: dict[str, Any] = Field(
        default_factory=lambda: {"spec": {"containers": [{"name": CONTAINER}]}}, json_schema_extra={"template": _MANIFEST}
    )
    image: str = Field(default_factory=default_image)
    image_registry: str | None = None
    entrypoint: str | None = None
    snowflake_credentials: SnowflakeCredentials | None = None
    secrets: list[dict[str, Any]] = Field(default_factory=list)
    external_access_integrations: list[str] = Field(default_factory=list)
    compute_pool: str | None = None
    cpu_request: str = "1"
    cpu_limit: str | None = "2"
    gpu_count: int | None = None
    memory_request: str = "1G"
    memory_limit: str | None = "2G"
    volume_mounts: list[dict[str, str]] = Field(default_factory=list)
    volumes: list[dict[str, Any]] = Field(default_factory=list)
    log_level: Literal["INFO", "ERROR", "NONE"] = "INFO"
    metrics_groups: list[str] = Field(default_factory=list)
    query_warehouse: str | None = None
    service_comment: str | None = None
    stream_output: bool = False
    pool_start_timeout_seconds: int = 600
    service_start_timeout_seconds: int = 300
    service_watch_poll_interval: int = 5

    _run: str = PrivateAttr(default="")

    def prepare_for_flow_run(self, flow_run: Any, *args: Any, **kwargs: Any) -> None:
        """See `BaseJobConfiguration.prepare_for_flow_run`."""
        super().prepare_for_flow_run(flow_run, *args, **kwargs)
        self._run = f"flow run {flow_run.name} ({flow_run.id})"

    @property
    def login(self) -> SnowflakeCredentials:
        """How to log in. Raises `ValueError` when that is not configured."""
        if self.snowflake_credentials is None:
            raise ValueError("The job variable `snowflake_credentials` is not set. Give it a block of type snowflake-credentials.")
        return self.snowflake_credentials

    @property
    def comment(self) -> str:
        """The comment of the job service."""
        return self.service_comment or f"headrace {self._run}"

    def specification(self) -> dict[str, Any]:
        """Return the manifest with image, command, environment and secrets in its first container, and nothing empty. Raises `ValueError`."""
        manifest = json.loads(json.dumps(self.job_manifest))
        try:
            container = manifest["spec"]["containers"][0]
        except (KeyError, IndexError, TypeError):
            raise ValueError("The job manifest has no container. It needs `spec: {containers: [{name: ...}]}`.") from None
        command = shlex.split(self.command or "")
        environment = self.environment
        container["image"] = f"{self.image_registry.rstrip('/')}/{self.image.lstrip('/')}" if self.image_registry else self.image
        container |= {"command": [self.entrypoint], "args": command} if self.entrypoint else {"command": command}
        container["env"] = {**container.get("env", {}), **environment.plain, **environment.secure}
        container["secrets"] = [*(container.get("secrets") or []), *(_secret(name, source) for name, source in environment.references.items())]
        return _without_empty(manifest)


class SPCSWorkerResult(BaseWorkerResult):
    """A run's job service, and its exit status."""


class SPCSWorker(RemoteJobWorker[SPCSWorkerConfiguration, SPCSServiceTemplateVariables, SPCSWorkerResult]):
    """Run flows as job services in Snowflake. What a job is known by is `database.schema.service`."""

    type = "snowpark-container-service"
    job_configuration: ClassVar[Any] = SPCSWorkerConfiguration
    job_configuration_variables: ClassVar[Any] = SPCSServiceTemplateVariables
    result_class: ClassVar[Any] = SPCSWorkerResult

    _display_name: ClassVar[str] = "Snowpark Container Service"
    _description: ClassVar[str] = "Runs each flow run as a job service of Snowpark Container Services. Needs a Snowflake account and a compute pool."

    async def setup(self) -> None:
        """See `BaseWorker.setup`."""
        await super().setup()
        self._sessions = services.Sessions()

    async def teardown(self, *exc_info: Any) -> None:
        """See `BaseWorker.teardown`."""
        await super().teardown(*exc_info)
        self._sessions.close()

    # --- what `RemoteJobWorker` asks for

    def submit_job(self, job: SPCSWorkerConfiguration, token: str) -> str:
        """Start a job service that is named after the token, so that there is one at most."""
        name, pool = _named(job, token)
        statement = services.start(
            name,
            pool,
            job.specification(),
            warehouse=job.query_warehouse,
            comment=job.comment,
            integrations=job.external_access_integrations,
        )
        if job.environment.secure:
            self._logger.warning(
                "%s stand in the statement that starts the job, and so in the account's query history. Name secrets of Snowflake for them in "
                "`secret_env`.",
                ", ".join(sorted(job.environment.secure)),
            )
        try:
            self._sessions.rows(job.login, statement)
        except InfrastructureNotFound as error:
            raise RuntimeError(f"The job cannot be started in the compute pool {job.compute_pool}: {error}") from error
        except Exception as error:
            if not services.is_there_already(error):
                raise
        return name

    def find_job(self, job: SPCSWorkerConfiguration, token: str) -> str | None:
        """Look for the job service that is named after the token."""
        name, _ = _named(job, token)
        try:
            self._containers(name, job)
        except InfrastructureNotFound:
            return None
        return name

    def poll_job(self, identifier: str, job: SPCSWorkerConfiguration) -> JobStatus:
        """Read the status of a job service and of its first container."""
        rows = self._containers(identifier, job)
        main = _main(rows, job)
        service, container = str(main.get("service_status") or ""), str(main.get("status") or "")
        message = str(main.get("message") or "")
        if service in _OVER or (not service and container in ("DONE", "FAILED")):
            return JobStatus.ended(_exit_code(main, service or container), message or f"the job service is {service or container}")
        if container in ("READY", "DONE"):
            return JobStatus.running()
        return JobStatus.pending(message or f"waits for a node of the compute pool {job.compute_pool or ''}".rstrip())

    def stop_job(self, identifier: str, job: SPCSWorkerConfiguration, grace_seconds: int) -> None:
        """Drop a job service. Snowflake asks its containers to end, and forces them after 30 seconds, whatever the grace."""
        if self.poll_job(identifier, job).phase == "ended":
            raise InfrastructureNotFound(f"The job service {identifier} has ended already.")
        self._sessions.rows(job.login, f"DROP SERVICE {services.service_name(identifier)}")

    def read_logs(self, identifier: str, job: SPCSWorkerConfiguration, after: str | None) -> JobLogs:
        """Return the lines behind `after`, which is how many lines there were and the last ones of them."""
        try:
            container = _main(self._containers(identifier, job), job).get("container_name") or CONTAINER
        except InfrastructureNotFound:  # dropped, and its output with it
            return JobLogs()
        arguments = f"{services.literal(identifier)}, 0, {services.literal(str(container))}, {LOG_LINES_MAX}"
        (row,) = self._sessions.rows(job.login, f"SELECT SYSTEM$GET_SERVICE_LOGS({arguments}) AS logs")
        text = str(row["logs"] or "")
        lines = text.splitlines()
        is_whole = len(lines) < LOG_LINES_MAX and len(text) < LOG_BYTES_WHOLE
        count, last = json.loads(after) if after else (0, [])
        new = lines[count:] if is_whole else _behind(lines, last)
        return JobLogs(new, json.dumps([count + len(new), [*last, *new][-OVERLAP_LINES:]])) if new else JobLogs()

    def clean_up(self, identifier: str, job: SPCSWorkerConfiguration) -> None:
        """Drop the job service; Snowflake keeps those that were started without waiting for them."""
        self._sessions.rows(job.login, f"DROP SERVICE {services.service_name(identifier)}")

    def failure_of(self, error: Exception) -> Failure:
        """See `RemoteJobWorker.failure_of`."""
        return Failure.UNKNOWN if isinstance(error, services.SessionLost) else super().failure_of(error)

    def poll_seconds(self, job: SPCSWorkerConfiguration) -> float:
        """Return how often a job is looked at."""
        return float(job.service_watch_poll_interval)

    def start_timeout_seconds(self, job: SPCSWorkerConfiguration) -> float:
        """Return how long pool and container may take together."""
        return float(job.pool_start_timeout_seconds + job.service_start_timeout_seconds)

    def streams_output(self, job: SPCSWorkerConfiguration) -> bool:
        """Say whether a container's output is shown."""
        return job.stream_output

    def _containers(self, identifier: str, job: SPCSWorkerConfiguration) -> list[dict[str, Any]]:
        return self._sessions.rows(job.login, f"SHOW SERVICE CONTAINERS IN SERVICE {services.service_name(identifier)}")


def _named(job: SPCSWorkerConfiguration, token: str) -> tuple[str, services.Pool]:
    pool = services.Pool.parsed(job.compute_pool)
    readable = re.sub(r"[^A-Za-z0-9]+", "_", job.name or "run").strip("_")[:NAME_SIZE]
    return f"{pool.database}.{pool.schema}.HEADRACE_{readable}_{token}".upper(), pool


def _secret(variable: str, source: str) -> dict[str, Any]:
    name, _, part = source.partition(":")
    return {"snowflakeSecret": {"objectName": name}, "secretKeyRef": part or "secret_string", "envVarName": variable}


def _main(rows: list[dict[str, Any]], job: SPCSWorkerConfiguration) -> dict[str, Any]:
    """Return the row of the container that runs the flow. While there is no container there is one row, without a name."""
    try:
        wanted = job.job_manifest["spec"]["containers"][0]["name"]
    except (KeyError, IndexError, TypeError):
        wanted = CONTAINER
    return next((row for row in rows if str(row.get("container_name")).lower() == str(wanted).lower()), rows[0] if rows else {})


def _exit_code(row: dict[str, Any], status: str) -> int | None:
    if status == "DONE":
        return 0
    code = row.get("last_exit_code")
    return int(code) if code not in (None, "") and int(code) != 0 else None


def _behind(lines: list[str], last: list[str]) -> list[str]:
    """Return the lines that follow those that were the last ones before; all of them when these are not there any more."""
    for end in range(len(lines), len(last) - 1, -1):
        if last and lines[end - len(last) : end] == last:
            return lines[end:]
    return lines


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        found = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in (None, {}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
