"""Task definitions: made for a run, compared with what ECS has, registered when there is none like it."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from copy import deepcopy
from typing import Any

from headrace.workers.remote import Failure
from headrace_aws.credentials import AwsCredentials, ClientType
from headrace_aws.errors import code_of, explaining, meaning_of
from headrace_aws.settings import AwsSettings
from headrace_aws.workers.ecs_configuration import DEFAULT_CONTAINER_NAMES, DEFAULT_LAUNCH_TYPE, ECSJobConfiguration, default_image, without_empty

DEFAULT_CPU, DEFAULT_MEMORY = 1024, 2048
LOG_GROUP = "headrace"
CACHED_MAX = 1000
_FARGATE = ("FARGATE", "FARGATE_SPOT")
_AFTER_REGISTRATION = (
    "compatibilities", "taskDefinitionArn", "revision", "status", "requiresAttributes", "registeredAt", "registeredBy", "deregisteredAt",
    "deleteRequestedAt", "tags",
)  # fmt: skip
_UNORDERED = {"environment": "name", "secrets": "name", "environmentFiles": "value"}
_HEALTH_CHECK = {"interval": 30, "timeout": 5, "retries": 3}
"""What ECS puts into health checks that say nothing else (Amazon ECS API Reference, HealthCheck)."""
_NO_DEFINITION = "ClientException"


def launch_type_of(job: ECSJobConfiguration) -> str:
    """Return where a run's task is to run, as it is configured."""
    return job.task_run_request.get("launchType") or DEFAULT_LAUNCH_TYPE


def is_fargate(job: ECSJobConfiguration) -> bool:
    """Say whether a run's task runs on Fargate, as far as the configuration tells."""
    strategy = job.task_run_request.get("capacityProviderStrategy") or []
    if strategy:
        return any(str(one.get("capacityProvider", "")).startswith("FARGATE") for one in strategy)
    return launch_type_of(job) in _FARGATE


def container_of(definition: dict[str, Any], name: str | None) -> dict[str, Any]:
    """Return the container that runs the flow. Raises ValueError for a name that no container has."""
    containers: list[dict[str, Any]] = definition.get("containerDefinitions") or []
    names = [one.get("name") for one in containers]
    if name is not None:
        if name not in names:
            raise ValueError(f"The task definition has no container {name!r}; it has: {', '.join(map(str, names))}. Correct `container_name`.")
        return containers[names.index(name)]
    found = next((known for known in DEFAULT_CONTAINER_NAMES if known in names), None)
    return containers[names.index(found)] if found is not None else containers[0]


def containers_of_the_flow(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return those containers of a task, as ECS or an event tells of it, that may run the flow: as a rule it is one.

    ECS lists them in no particular order. The flow's is overridden by the request; beside others that are, it is the one with a usual name.
    """
    containers: list[dict[str, Any]] = task.get("containers") or []
    overridden = {one.get("name") for one in (task.get("overrides") or {}).get("containerOverrides") or []}
    own = [one for one in containers if one.get("name") in overridden] or containers
    return [one for one in own if one.get("name") in DEFAULT_CONTAINER_NAMES] or own


def wanted_definition(job: ECSJobConfiguration, region: str) -> dict[str, Any]:
    """Return the definition to register for a run. Raises ValueError for what Fargate does not take, or a container that is not there."""
    definition = without_empty(deepcopy(job.task_definition))
    definition.setdefault("family", job.family)
    containers = definition.setdefault("containerDefinitions", [])
    if not containers:
        containers.append({})
    unnamed = next((one for one in containers if "name" not in one), None)
    if unnamed is not None:
        unnamed["name"] = job.container_name or DEFAULT_CONTAINER_NAMES[0]
    container = container_of(definition, job.container_name)
    container.setdefault("image", default_image())
    if job.execution_role_arn and "executionRoleArn" not in definition:
        definition["executionRoleArn"] = job.execution_role_arn
    if job.environment.references:
        _put_secrets(container, job.environment.references)
    if job.configure_cloudwatch_logs:
        container["logConfiguration"] = {"logDriver": "awslogs", "options": _log_options(job, region)}
    cpu, memory = definition.pop("cpu", None), definition.pop("memory", None)
    if is_fargate(job):
        _fit_for_fargate(definition, cpu, memory)
    else:
        container.setdefault("cpu", int(cpu or DEFAULT_CPU))
        if "memory" not in container and "memoryReservation" not in container:
            container["memory"] = int(memory or DEFAULT_MEMORY)
    return definition


def _put_secrets(container: dict[str, Any], references: dict[str, str]) -> None:
    kept = [one for one in container.get("secrets", []) if one.get("name") not in references]
    container["secrets"] = [*kept, *({"name": name, "valueFrom": source} for name, source in sorted(references.items()))]
    container["environment"] = [one for one in container.get("environment", []) if one.get("name") not in references]


def _log_options(job: ECSJobConfiguration, region: str) -> dict[str, str]:
    return {
        "awslogs-create-group": "true",
        "awslogs-group": LOG_GROUP,
        "awslogs-region": region,
        "awslogs-stream-prefix": job.log_prefix,
        **job.cloudwatch_logs_options,
    }


def _fit_for_fargate(definition: dict[str, Any], cpu: Any, memory: Any) -> None:
    definition["cpu"], definition["memory"] = str(cpu or DEFAULT_CPU), str(memory or DEFAULT_MEMORY)
    compatible = definition.get("requiresCompatibilities", [])
    definition["requiresCompatibilities"] = [*compatible, *([] if "FARGATE" in compatible else ["FARGATE"])]
    definition.setdefault("networkMode", "awsvpc")
    check_fargate(definition)


def check_fargate(definition: dict[str, Any]) -> None:
    """Raise ValueError when a definition cannot run on Fargate."""
    mode = definition.get("networkMode")
    if mode != "awsvpc":
        raise ValueError(f"Fargate takes the network mode 'awsvpc' only, and the task definition has {mode!r}. Change it, or the `launch_type`.")
    compatible = {*definition.get("requiresCompatibilities", []), *definition.get("compatibilities", [])}
    if "FARGATE" not in compatible:
        raise ValueError(
            "The task definition is not made for Fargate: it has no FARGATE among `requiresCompatibilities`. Register one that has, or choose the "
            "`launch_type` EC2."
        )


# --- comparing


def are_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Say whether two definitions do the same, whatever ECS added when it registered one."""
    return _normal(one) == _normal(other)


def _normal(definition: dict[str, Any]) -> dict[str, Any]:
    found = without_empty({key: value for key, value in definition.items() if key not in _AFTER_REGISTRATION})
    mode = found.setdefault("networkMode", "bridge")
    found.setdefault("enableFaultInjection", False)
    found["requiresCompatibilities"] = sorted(found.get("requiresCompatibilities", []))
    found["containerDefinitions"] = [_normal_container(one, mode) for one in found.get("containerDefinitions", [])]
    for key in ("cpu", "memory"):
        if key in found:
            found[key] = str(found[key])
    return found


def _normal_container(container: dict[str, Any], mode: str) -> dict[str, Any]:
    found = {**container}
    found.setdefault("essential", True)
    if not found.get("cpu"):
        found.pop("cpu", None)
    if "healthCheck" in found:
        found["healthCheck"] = {**_HEALTH_CHECK, **found["healthCheck"]}
    for key, name in _UNORDERED.items():
        if key in found:
            found[key] = sorted(found[key], key=lambda one, name=name: str(one.get(name)))
    ports = []
    for port in found.pop("portMappings", []):
        host = port.get("hostPort") or (port["containerPort"] if mode in ("awsvpc", "host") else 0)
        ports.append({**port, "protocol": port.get("protocol", "tcp"), "hostPort": host})
    found["portMappings"] = ports
    return found


# --- registering


class Definitions:
    """The task definitions that this process has registered or found, by what runs have in common that share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arns: OrderedDict[Any, str] = OrderedDict()

    def get(self, key: Any) -> str | None:
        """Return the ARN that is remembered."""
        with self._lock:
            return self._arns.get(key)

    def put(self, key: Any, arn: str) -> None:
        """Remember an ARN."""
        with self._lock:
            self._arns[key] = arn
            self._arns.move_to_end(key)
            while len(self._arns) > CACHED_MAX:
                self._arns.popitem(last=False)


definitions = Definitions()


def provide_definition(client: Any, job: ECSJobConfiguration, log: Any) -> dict[str, Any]:
    """Return the registered definition to run: the existing one that is named; one like the wanted one; or that, registered now.

    Raises `AwsError` when the named one does not exist, or none can be registered.
    """
    if job.task_definition_arn:
        with explaining(f"The task definition {job.task_definition_arn!r} cannot be used", job.aws_credentials):
            return client.describe_task_definition(taskDefinition=job.task_definition_arn)["taskDefinition"]
    wanted = wanted_definition(job, client.meta.region_name)
    key = (
        client.meta.endpoint_url,
        client.meta.region_name,
        job.aws_credentials.aws_access_key_id,
        job.aws_credentials.profile_name,
        job.aws_credentials.assume_role_arn,
        job.cache_key,
    )
    candidates = [definitions.get(key), wanted["family"] if job.match_latest_revision_in_family else None]
    for candidate in candidates:
        found = _like(client, candidate, wanted, log) if candidate is not None else None
        if found is not None:
            definitions.put(key, found["taskDefinitionArn"])
            return found
    registered = _registered(client, wanted, job)
    log.info("Registered the task definition %s.", registered["taskDefinitionArn"])
    definitions.put(key, registered["taskDefinitionArn"])
    return registered


def _like(client: Any, candidate: str, wanted: dict[str, Any], log: Any) -> dict[str, Any] | None:
    try:
        found = client.describe_task_definition(taskDefinition=candidate)["taskDefinition"]
    except Exception as error:  # noqa: BLE001  # whatever the SDK raises; another one is registered then
        if code_of(error) != _NO_DEFINITION:
            log.warning("The task definition %s cannot be looked at (%s), so another one is registered.", candidate, error)
        return None
    return found if found.get("status") == "ACTIVE" and are_equal(found, wanted) else None


def _registered(client: Any, wanted: dict[str, Any], job: ECSJobConfiguration) -> dict[str, Any]:
    settings = AwsSettings().ecs.worker
    with explaining(f"The task definition {wanted.get('family')!r} cannot be registered", job.aws_credentials):
        for attempt in range(1, settings.register_task_definition_max_attempts + 1):
            try:
                return client.register_task_definition(**wanted)["taskDefinition"]
            except Exception as error:
                if failure_of_sdk(error) is Failure.FINAL or attempt == settings.register_task_definition_max_attempts:
                    raise
            pause = settings.register_task_definition_initial_delay_seconds * 2 ** (attempt - 1) + random.uniform(0, 1)
            threading.Event().wait(min(pause, settings.register_task_definition_max_delay_seconds))
    raise AssertionError("the last try returns or raises")


def deregister(credentials: AwsCredentials, arn: str) -> None:
    """Deregister a task definition; one that is deregistered already stays so. Raises `AwsError`."""
    with explaining(f"The task definition {arn} cannot be deregistered", credentials):
        try:
            credentials.get_client(ClientType.ECS).deregister_task_definition(taskDefinition=arn)
        except Exception as error:
            if code_of(error) != _NO_DEFINITION:
                raise


def failure_of_sdk(error: BaseException | None) -> Failure | None:
    """Say what an error of the SDK means for repeating; None for another's."""
    meaning = meaning_of(error) if isinstance(error, Exception) else None
    if meaning is None:
        return None
    if meaning.is_lost:
        return Failure.UNKNOWN
    return Failure.BUSY if meaning.sort.value in ("busy", "unreachable") else Failure.FINAL
