"""Requests to run a task: overrides, capacity, network, tags."""

from __future__ import annotations

import shlex
from copy import deepcopy
from typing import Any

from headrace_aws.errors import AwsError, explaining
from headrace_aws.workers.ecs_configuration import DEREGISTER_TAG, ECSJobConfiguration, without_empty
from headrace_aws.workers.task_definitions import check_fargate, container_of, is_fargate, launch_type_of

OVERRIDES_SIZE_MAX = 8192
"""Characters that overrides may have in all (Amazon ECS API Reference, RunTask)."""


def run_request(ec2: Any, job: ECSJobConfiguration, definition: dict[str, Any], token: str, log: Any) -> dict[str, Any]:
    """Return the arguments of `RunTask` for a registered definition. `ec2` makes a client of EC2, asked for a network where none is given.

    `token` makes the request the same however often it is made, and marks the task as the one that started it.
    Raises ValueError for what does not fit together, `AwsError` when there is no network.
    """
    request = without_empty(deepcopy(job.task_run_request))
    request["taskDefinition"] = definition["taskDefinitionArn"]
    _put_capacity(request, job, log)
    if is_fargate(job):
        check_fargate(definition)
    if definition.get("networkMode") == "awsvpc" and "networkConfiguration" not in request:
        request["networkConfiguration"] = network_configuration(ec2(), job)
    if job.cluster and "cluster" not in request:
        request["cluster"] = job.cluster
    _put_overrides(request, job, container_of(definition, job.container_name), log)
    request["tags"] = _tags(job, request.get("tags", []))
    request["clientToken"] = request["startedBy"] = token
    return request


def _put_capacity(request: dict[str, Any], job: ECSJobConfiguration, log: Any) -> None:
    if request.get("capacityProviderStrategy"):
        if "launchType" in request:
            log.warning("The launch type %r has no effect, since there is a capacity provider strategy.", request.pop("launchType"))
        return
    request["launchType"] = launch_type_of(job)
    if request["launchType"] == "FARGATE_SPOT":  # no launch type to ECS, but a capacity provider
        del request["launchType"]
        request["capacityProviderStrategy"] = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]


def _put_overrides(request: dict[str, Any], job: ECSJobConfiguration, container: dict[str, Any], log: Any) -> None:
    overrides = request.setdefault("overrides", {})
    given: list[dict[str, Any]] = overrides.get("containerOverrides", [])
    own = next((one for one in given if one.get("name") in (None, container["name"])), None)
    if own is None:
        own = {}
        given = [*given, own]
    own["name"] = container["name"]
    if job.command:
        own["command"] = shlex.split(job.command)
    env = {**{one["name"]: one["value"] for one in own.get("environment", [])}, **job.environment.plain, **job.environment.secure}
    secret = {one["name"] for one in container.get("secrets", [])}
    missing = sorted(job.environment.references.keys() - secret)
    if missing:
        log.warning(
            "The task definition %s has no secrets for %s, and it is an existing one, so they are not set. Add them there.",
            request["taskDefinition"], ", ".join(missing),
        )  # fmt: skip
    # ECS refuses a variable that is a secret too.
    own["environment"] = [{"name": name, "value": value} for name, value in sorted(env.items()) if name not in secret]
    for size in ("cpu", "memory"):
        value = overrides.pop(size, None) or own.get(size)
        own.pop(size, None)
        if value is not None and is_fargate(job):
            overrides[size] = str(value)
        elif value is not None:
            own[size] = int(value)
    overrides["containerOverrides"] = given
    if (taken := len(str(own["environment"]))) > OVERRIDES_SIZE_MAX:
        log.warning("The variables take some %s characters, and ECS takes %s in all. Leave some out of `env`.", taken, OVERRIDES_SIZE_MAX)


def _tags(job: ECSJobConfiguration, given: list[dict[str, str]]) -> list[dict[str, str]]:
    tags = {**{one["key"]: one["value"] for one in given}, **job.labels}
    if job.auto_deregister_task_definition and not job.task_definition_arn:
        tags[DEREGISTER_TAG] = "true"
    return [{"key": key, "value": value} for key, value in tags.items()]


def ignored_variables(job: ECSJobConfiguration) -> list[str]:
    """Return the variables that have a value and no effect, because an existing task definition is run."""
    if not job.task_definition_arn:
        return []
    described = without_empty(job.task_definition)
    containers = described.get("containerDefinitions", [{}])
    found = [name for name in ("family", "executionRoleArn") if name in described]
    found += ["image"] if any("image" in one for one in containers) else []
    found += [name for name in ("configure_cloudwatch_logs", "cloudwatch_logs_options", "cloudwatch_logs_prefix") if getattr(job, name)]
    return found


def network_configuration(ec2: Any, job: ECSJobConfiguration) -> dict[str, Any]:
    """Return the network of a task: the configured one, or the subnets of the VPC, with public addresses on Fargate.

    Raises `AwsError` when there is no such VPC, no default one, or no subnet; ValueError when a configured subnet is of another VPC.
    """
    with explaining("The task's network cannot be found", job.aws_credentials):
        vpc = _vpc(ec2, job.vpc_id)
        found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    subnets = [one["SubnetId"] for one in found]
    given = job.network_configuration.get("awsvpcConfiguration", job.network_configuration)
    if given:
        wanted = given.get("subnets") or []
        foreign = [one for one in wanted if one not in subnets]
        if foreign:
            raise ValueError(
                f"The subnets {', '.join(foreign)} are not of the VPC {vpc!r}, which has: {', '.join(subnets) or 'none'}. Correct them, or `vpc_id`."
            )
        return {"awsvpcConfiguration": given if wanted else {**given, "subnets": subnets}}
    if not subnets:
        raise AwsError(f"The VPC {vpc!r} has no subnets to run the task in. Make one, or give another `vpc_id`.")
    public = {"assignPublicIp": "ENABLED"} if is_fargate(job) else {}  # ECS refuses it for tasks on machines
    return {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [], **public}}


def _vpc(ec2: Any, vpc_id: str | None) -> str:
    if vpc_id is not None:
        if not ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]:
            raise AwsError(f"There is no VPC {vpc_id!r}. Correct `vpc_id`, or the region.")
        return vpc_id
    found = ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise AwsError("The region has no default VPC to run the task in. Give `vpc_id`, or a `network_configuration` with it.")
    return found[0]["VpcId"]
