"""The Docker worker: each run in a container of its own.

    headrace worker start --pool my-pool --type docker

Which engine is asked is what DOCKER_HOST and its like say, else the one of this machine.
"""

from __future__ import annotations

import enum
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr

import headrace
from headrace.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from headrace.workers.base import BaseWorkerResult
from headrace.workers.remote import Failure, JobLogs, JobStatus, LabelRules, RemoteJobConfiguration, RemoteJobVariables, RemoteJobWorker
from headrace_docker.credentials import DockerRegistryCredentials
from headrace_docker.engine import Engine, identifier_of, parsed_identifier
from headrace_docker.events import ContainerEvents
from headrace_docker.folders import copy_folder
from headrace_docker.output import lines_after, since
from headrace_docker.pulling import PullPolicy, provide_image
from headrace_docker.turns import Turns
from headrace_docker.types import VolumeStr

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

TOKEN_LABEL = "io.headrace.job-token"
"""The label by which a container is found again whose making was answered to nobody."""
POLL_SECONDS = 0.5
NAME_TRIES = 20
ENDED = ("exited", "dead")
KILLED = 137
"""The exit status of what was ended by SIGKILL."""

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "::1")
_GATEWAY = "host.docker.internal"
_PREFIX_RULES = LabelRules("a-z0-9.-", is_lower=True, key_size=200)
_NAME_RULES = LabelRules("A-Za-z0-9_.-", key_size=200)


class ImagePullPolicy(enum.Enum):
    """When an image is pulled: when it is not there, always, if that is possible, or never."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    IF_POSSIBLE = "IfPossible"
    NEVER = "Never"


def default_image() -> str:
    """Return the image of runs for which none is configured: headrace's own of this version, as the pages on operation build it."""
    return f"headrace:{headrace.__version__}"


_TEXTS = {
    "image": "The image of containers. Default: headrace's own of the worker's version, `headrace:<version>`, which has to be built beforehand.",
    "registry_credentials": "Credentials for the image's registry: a block of type docker-registry-credentials. Used when an image is pulled.",
    "image_pull_policy": "When the image is pulled. Default: Always for the tag `latest` or none, else IfNotPresent.",
    "networks": "Docker networks that containers are connected to.",
    "network_mode": "The network mode of containers, as `host` or `bridge`. It wins over `networks`.",
    "auto_remove": "Whether containers are removed when they have ended.",
    "volumes": "Volumes of containers, as `/on/the/host:/in/the/container` or `name:/in/the/container:ro`.",
    "stream_output": "Whether the output of containers is shown on the worker's own.",
    "mem_limit": "Memory that a container may use, with a unit: 100000b, 1000k, 128m, 1g. Without one: bytes.",
    "memswap_limit": "Memory and swap together; -1: any amount of swap. Only with `mem_limit`; default: as much swap as memory.",
    "privileged": "Whether containers have extended privileges.",
    "container_create_kwargs": 'More arguments of the SDK\'s `containers.create`, as {"shm_size": "1g"}. Those that have a variable are left out.',
}


class DockerWorkerJobConfiguration(RemoteJobConfiguration):
    """What a run's container is made from."""

    image: str = Field(default_factory=default_image, description=_TEXTS["image"])
    registry_credentials: DockerRegistryCredentials | None = Field(default=None, description=_TEXTS["registry_credentials"])
    image_pull_policy: PullPolicy | None = Field(default=None, description=_TEXTS["image_pull_policy"])
    networks: list[str] = Field(default_factory=list, description=_TEXTS["networks"])
    network_mode: str | None = Field(default=None, description=_TEXTS["network_mode"])
    auto_remove: bool = Field(default=False, description=_TEXTS["auto_remove"])
    volumes: list[VolumeStr] = Field(default_factory=list, description=_TEXTS["volumes"])
    stream_output: bool = Field(default=True, description=_TEXTS["stream_output"])
    mem_limit: str | None = Field(default=None, description=_TEXTS["mem_limit"])
    memswap_limit: str | None = Field(default=None, description=_TEXTS["memswap_limit"])
    privileged: bool = Field(default=False, description=_TEXTS["privileged"])
    container_create_kwargs: dict[str, Any] | None = Field(default=None, description=_TEXTS["container_create_kwargs"])

    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path | None:
        """A folder of the worker's machine that the container is given a copy of."""
        return self._folder

    @folder.setter
    def folder(self, folder: Path | None) -> None:
        self._folder = folder

    def prepare_for_flow_run(self, flow_run: Any, *args: Any, **kwargs: Any) -> None:
        """See `BaseJobConfiguration.prepare_for_flow_run`; labels, name and the API's address become what containers can use."""
        super().prepare_for_flow_run(flow_run, *args, **kwargs)
        self.labels = {**_docker_labels(self.labels), "io.prefect.version": headrace.__version__, TOKEN_LABEL: self.token}
        self.name = _container_name(self.name)
        url = self.env.get("HEADRACE_API_URL")
        if url and self.get_network_mode() != "host" and _is_local(url):
            self.env["HEADRACE_API_URL"] = re.sub(r"//(\[::1\]|localhost|127\.0\.0\.1)", f"//{_GATEWAY}", url, count=1)

    def get_network_mode(self) -> str | None:
        """Return the network mode: the configured one; `host` on Linux for an API of this machine, where no network is configured; else none."""
        if self.network_mode:
            return self.network_mode
        if self.networks:
            return None
        return "host" if sys.platform == "linux" and _is_local(self.env.get("HEADRACE_API_URL") or "") else None

    def get_extra_hosts(self, docker_client: DockerClient) -> dict[str, str] | None:
        """Return the names that a container knows besides: the configured ones, and this machine's where the API's address needs it."""
        given = (self.container_create_kwargs or {}).get("extra_hosts") or {}
        hosts = dict(item.split(":", 1) for item in given) if isinstance(given, list) else dict(given)
        if sys.platform == "linux" and _GATEWAY in (self.env.get("HEADRACE_API_URL") or ""):
            hosts.setdefault(_GATEWAY, "host-gateway")  # engines from 20.10 on; older ones refuse it by name
        return hosts or None

    def dropped_options(self) -> list[str]:
        """Return what stands in `container_create_kwargs` in vain, as there is a variable for it."""
        return sorted(_OWN_OPTIONS & (self.container_create_kwargs or {}).keys())

    def container_options(self, client: DockerClient) -> dict[str, Any]:
        """Return the arguments of the SDK's `containers.create`, the name aside. Raises `RuntimeError` for a secret that is not there."""
        more = {key: value for key, value in (self.container_create_kwargs or {}).items() if key not in _OWN_OPTIONS}
        network_mode = self.get_network_mode()
        options: dict[str, Any] = {
            "command": shlex.split(self.command or ""),
            "environment": {**{key: value for key, value in self.env.items() if value is not None}, **self._secrets()},
            "labels": self.labels,
            "volumes": self.volumes,
            "mem_limit": self.mem_limit,
            "memswap_limit": _number_or_text(self.memswap_limit),
            "privileged": self.privileged,
            "network_mode": network_mode,
            "network": self.networks[0] if self.networks and network_mode is None else None,
            **more,
            "extra_hosts": self.get_extra_hosts(client),
        }
        return {key: value for key, value in options.items() if value is not None}

    def _secrets(self) -> dict[str, str]:
        missing = [f"{name} (from {source})" for name, source in self.environment.references.items() if source not in os.environ]
        if missing:
            raise RuntimeError(
                f"The worker's environment lacks what `secret_env` takes from it: {', '.join(missing)}. Set it where the worker is started."
            )
        return {name: os.environ[source] for name, source in self.environment.references.items()}


_OWN_OPTIONS = {*DockerWorkerJobConfiguration.model_fields, "environment", "network", "auto_remove", "detach"}


class DockerWorkerVariables(RemoteJobVariables):
    """What can be configured of a run's container."""

    secret_env: dict[str, str] = Field(
        default_factory=dict,
        title="Secret Environment Variables",
        description="Variables that containers get from the worker's own environment: the variable's name, and its name there.",
    )
    image: str | None = Field(default=None, description=_TEXTS["image"])
    registry_credentials: DockerRegistryCredentials | None = Field(default=None, description=_TEXTS["registry_credentials"])
    image_pull_policy: Literal["IfNotPresent", "Always", "IfPossible", "Never"] | None = Field(default=None, description=_TEXTS["image_pull_policy"])
    networks: list[str] = Field(default_factory=list, description=_TEXTS["networks"])
    network_mode: str | None = Field(default=None, description=_TEXTS["network_mode"])
    auto_remove: bool = Field(default=False, description=_TEXTS["auto_remove"])
    volumes: list[str] = Field(default_factory=list, description=_TEXTS["volumes"])
    stream_output: bool = Field(default=True, description=_TEXTS["stream_output"])
    mem_limit: str | None = Field(default=None, title="Memory Limit", description=_TEXTS["mem_limit"])
    memswap_limit: str | None = Field(default=None, title="Memory Swap Limit", description=_TEXTS["memswap_limit"])
    privileged: bool = Field(default=False, description=_TEXTS["privileged"])
    container_create_kwargs: dict[str, Any] | None = Field(default=None, description=_TEXTS["container_create_kwargs"])


class DockerWorkerResult(BaseWorkerResult):
    """A run's container, and its exit status."""


class DockerWorker(RemoteJobWorker[DockerWorkerJobConfiguration, DockerWorkerVariables, DockerWorkerResult]):
    """Run flows in Docker containers. What a container is known by is the engine's address and the container's id, with `:` between."""

    type = "docker"
    job_configuration: ClassVar[Any] = DockerWorkerJobConfiguration
    job_configuration_variables: ClassVar[Any] = DockerWorkerVariables
    result_class: ClassVar[Any] = DockerWorkerResult

    _display_name: ClassVar[str] = "Docker"
    _description: ClassVar[str] = "Runs each flow run in a Docker container of its own. Needs a Docker engine that the worker reaches."

    async def setup(self) -> None:
        """See `BaseWorker.setup`."""
        await super().setup()
        self._engine = Engine()
        resource = {"prefect.resource.id": f"prefect.worker.{self.type}.{self.get_name_slug()}", "prefect.resource.name": self.name}
        self._events = ContainerEvents({**resource, "prefect.resource.role": "worker"})
        self._turns = Turns()

    async def teardown(self, *exc_info: Any) -> None:
        """See `BaseWorker.teardown`."""
        await super().teardown(*exc_info)
        self._engine.close()

    def seen_as(self, folder: Path) -> str:
        """See `BaseWorker.seen_as`: a folder below the root, where no volume is mounted."""
        return f"/{folder.name}"

    def bring(self, folder: Path, configuration: DockerWorkerJobConfiguration) -> None:
        """See `BaseWorker.bring`: the folder is copied into the container, so that the engine may be on another machine."""
        configuration.folder = folder

    # --- what `RemoteJobWorker` asks for

    def submit_job(self, job: DockerWorkerJobConfiguration, token: str) -> str:
        """Provide the image, make the container, connect its networks, start it."""
        client = self._engine.client
        with self._turns.taken(token) as is_second:
            # A call that took too long may have gone on, and made the container after all.
            if is_second and (found := self.find_job(job, token)) is not None:
                return found
            if dropped := job.dropped_options():
                self._logger.warning("%s in `container_create_kwargs` is left out: there are variables for that.", ", ".join(dropped))
            try:
                provide_image(client, job.image, job.image_pull_policy, job.registry_credentials, self._logger)
                container = self._created(client, job)
            except Exception as error:
                self._events.creation_failed(job, error)
                raise
            return self._started(client, container, job)

    def find_job(self, job: DockerWorkerJobConfiguration, token: str) -> str | None:
        """Find a container by its token; one that was made and not started is started."""
        client = self._engine.client
        found = client.containers.list(all=True, ignore_removed=True, filters={"label": f"{TOKEN_LABEL}={token}"})
        if not found:
            return None
        if found[0].status == "created":
            return self._started(client, found[0], job)
        return identifier_of(self._engine.address, found[0].id or "")

    def poll_job(self, identifier: str, job: DockerWorkerJobConfiguration) -> JobStatus:
        """Read a container's state."""
        container = self._container(identifier)
        state = container.attrs["State"]
        self._events.seen(container, job)
        if state["Status"] in ENDED:
            return JobStatus.ended(state["ExitCode"], _why(state, job.mem_limit))
        if state["Status"] == "created":
            return JobStatus.pending("the container is made and not started yet")
        return JobStatus.running("the container is paused" if state["Status"] == "paused" else "")

    def stop_job(self, identifier: str, job: DockerWorkerJobConfiguration, grace_seconds: int) -> None:
        """Stop a container: SIGTERM, and SIGKILL after the grace."""
        container = self._container(identifier)
        if container.status in ENDED:
            raise InfrastructureNotFound(f"The container {container.name} has ended already.")
        container.stop(timeout=grace_seconds)

    def read_logs(self, identifier: str, job: DockerWorkerJobConfiguration, after: str | None) -> JobLogs:
        """Return the lines behind `after`; see `lines_after`."""
        from docker.errors import APIError

        container = self._container(identifier)
        options: dict[str, Any] = {"since": began} if (began := since(after)) else {}
        try:
            written = container.logs(timestamps=True, stream=True, follow=False, **options)
            return lines_after(written, after, container.attrs["Config"]["Tty"], is_over=container.status in ENDED)
        except APIError as error:
            if error.status_code == 409:  # "marked for removal"
                return JobLogs()
            raise

    def clean_up(self, identifier: str, job: DockerWorkerJobConfiguration) -> None:
        """Remove the container, if that is wanted. (The engine's own removal would take the exit status with it.)"""
        self._events.forget(identifier)
        if job.auto_remove:
            self._container(identifier).remove(v=True, force=True)

    def failure_of(self, error: Exception) -> Failure:
        """See `RemoteJobWorker.failure_of`."""
        return self._engine.failure_of(error)

    def poll_seconds(self, job: DockerWorkerJobConfiguration) -> float:
        """See `RemoteJobWorker.poll_seconds`."""
        return POLL_SECONDS

    def streams_output(self, job: DockerWorkerJobConfiguration) -> bool:
        """See `RemoteJobWorker.streams_output`."""
        return job.stream_output

    # --- containers

    def _created(self, client: DockerClient, job: DockerWorkerJobConfiguration) -> Container:
        """Make the container. A name that is taken gets `-1`, `-2`, … behind it."""
        from docker.errors import APIError, ImageNotFound

        options, name = job.container_options(client), job.name
        for number in range(NAME_TRIES):
            try:
                container = client.containers.create(job.image, name=name, **options)
                break
            except ImageNotFound as error:
                raise RuntimeError(f"There is no image {job.image} on the engine, and the policy is not to pull it. Build it, or pull it.") from error
            except APIError as error:
                if error.status_code != 409 or name is None or "already in use" not in str(error):
                    raise _told(error, "made") from error
                name = f"{job.name}-{number + 1}"
        else:
            raise RuntimeError(f"The names {job.name} to {name} are all taken by containers. Remove old ones (`docker container prune`).")
        self._events.seen(container, job)
        return container

    def _started(self, client: DockerClient, container: Container, job: DockerWorkerJobConfiguration) -> str:
        try:
            if job.get_network_mode() is None:
                for name in job.networks[1:]:
                    client.networks.get(name).connect(container)
            if job.folder is not None:
                copy_folder(job.folder, container, self.seen_as(job.folder))
            container.start()
        except Exception as error:
            told = _told(error, "started")
            if self._engine.failure_of(error) is not Failure.UNKNOWN:
                container.remove(v=True, force=True)
            self._events.creation_failed(job, told)
            raise told from error
        return identifier_of(self._engine.address, container.id or "")

    def _container(self, identifier: str) -> Container:
        """Return a container as it is now. Raises `ValueError`, `InfrastructureNotAvailable`, `InfrastructureNotFound`."""
        from docker.errors import NotFound

        address, container = parsed_identifier(identifier)
        if not self._engine.is_at(address):
            raise InfrastructureNotAvailable(
                f"The container {container[:12]} is on the engine {address}, and this worker asks {self._engine.address}. "
                "Let a worker of that engine do it, or set DOCKER_HOST."
            )
        try:
            return self._engine.client.containers.get(container)
        except NotFound:
            raise InfrastructureNotFound(f"There is no container {container[:12]} on {address}: it was removed.") from None


def _told(error: Exception, what: str) -> Exception:
    """Return an error with the engine's own words alone; one that may pass by itself stays as it is."""
    from docker.errors import APIError

    if not isinstance(error, APIError) or error.status_code in (429, 503) or not error.explanation:
        return error
    return RuntimeError(f"The container could not be {what}: {error.explanation}")


def _why(state: dict[str, Any], memory: str | None) -> str:
    if state.get("OOMKilled"):
        return "It needed more memory than it was given and was killed. Raise `mem_limit`, or let the flow use less."
    if state["ExitCode"] == KILLED and memory is not None:  # engines miss some of these events, if it ends soon after
        return (
            f"It was killed, as what needs more memory than it is given: if nobody did that, raise `mem_limit` ({memory}), or let the flow use less."
        )
    return str(state.get("Error") or "")


def _is_local(url: str) -> bool:
    return (urlsplit(url).hostname or "") in _LOCAL_HOSTS


def _number_or_text(value: str | None) -> int | str | None:
    return int(value) if value is not None and re.fullmatch(r"-?\d+", value) else value


def _container_name(name: str | None) -> str | None:
    """Return a name as containers may have it: letters, digits, `_`, `.`, `-`, the first a letter or digit."""
    fit = re.sub(r"[^a-zA-Z0-9_.-]+", "-", name or "").strip("-_.").lower()
    return fit if len(fit) > 1 else None


def _docker_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return labels with keys that Docker's guidelines allow: `prefix/name`, the prefix like the name of a host."""
    found: dict[str, str] = {}
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        found[f"{_PREFIX_RULES.key(prefix) if slash else ''}{slash}{_NAME_RULES.key(name)}"] = str(value)
    return found
