"""From checked deployments to a server: running their build and push steps, then writing them and their automations."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.deploy.deployments import IMAGE_FOLDER
from headrace.deploy.project.checks import Prepared, job_variable_problems, parameter_problems
from headrace.deploy.project.shapes import DeploymentSpec, validated
from headrace.deploy.project.source import Problem, ProjectInvalid
from headrace.deploy.project.values import after_steps
from headrace.deploy.steps.run import run_steps
from headrace.deploy.versions import find_version
from headrace.engine.logs import setup
from headrace.model.deployments import ConcurrencyLimitConfig, ConcurrencyOptions, Deployment, DeploymentCreate
from headrace.model.errors import DeploymentApplyError, HeadraceException, ObjectNotFound
from headrace.model.schedules import DeploymentScheduleCreate

NO_FLOW = UUID(int=0)
"""Stands for a flow that the server does not know yet."""


@dataclass
class Made:
    """What became of one deployment."""

    name: str
    what: Literal["created", "changed", "deleted"] | None = None
    deployment: Deployment | None = None
    error: str | None = None


@dataclass
class Ready:
    """A deployment whose steps have run: nothing about it is open any more."""

    prepared: Prepared
    spec: DeploymentSpec
    body: DeploymentCreate


def desired(prepared: Prepared, spec: DeploymentSpec, existing: Deployment | None) -> DeploymentCreate:
    """Return all that the deployment shall be. Schedules that the project says nothing of are those of `existing`."""
    flow, limit = prepared.flow, spec.concurrency_limit
    version, version_info = find_version(spec.version, spec.version_type, flow.version)
    options = None
    if isinstance(limit, ConcurrencyLimitConfig):
        options = ConcurrencyOptions(collision_strategy=limit.collision_strategy, grace_period_seconds=limit.grace_period_seconds)
        limit = limit.limit
    values: dict[str, Any] = {
        "name": spec.name,
        "flow_id": existing.flow_id if existing is not None else NO_FLOW,
        "description": spec.description if spec.description is not None else flow.description,
        "version": version,
        "version_info": version_info,
        "tags": list(dict.fromkeys(spec.tags)),
        "entrypoint": spec.entrypoint,
        "parameters": spec.parameters,
        "parameter_openapi_schema": flow.parameters.model_dump_for_openapi(),
        "enforce_parameter_schema": spec.enforce_parameter_schema,
        "schedules": _schedules(spec, existing),
        "concurrency_limit": limit,
        "concurrency_options": options,
        "work_pool_name": prepared.pool.name if prepared.pool is not None else None,
        "work_queue_name": spec.work_pool.work_queue_name,
        "job_variables": spec.work_pool.job_variables,
        "pull_steps": spec.pull if spec.pull is not None else default_pull(spec),
        "path": None,
        "labels": {**(_own_labels(existing) if existing is not None else {}), **prepared.entry.labels},
    }
    if spec.paused is not None:
        values["paused"] = spec.paused
    return DeploymentCreate(**values)


def _own_labels(deployment: Deployment) -> dict[str, Any]:
    """Return the labels that were given to a deployment, without those that the server adds."""
    return {key: value for key, value in deployment.labels.items() if key != "prefect.flow.id"}


def _schedules(spec: DeploymentSpec, existing: Deployment | None) -> list[DeploymentScheduleCreate]:
    """Return the schedules; an interval without an anchor that the server has already keeps the one it has, and so its times."""
    stored = existing.schedules if existing is not None else []
    fields = set(DeploymentScheduleCreate.model_fields) - {"replaces"}
    if spec.all_schedules is None:
        return [DeploymentScheduleCreate(**{name: getattr(one, name) for name in fields}) for one in stored]
    made: list[DeploymentScheduleCreate] = []
    left = list(stored)
    for schedule in spec.all_schedules:
        new = schedule.create()
        if schedule.interval is not None and schedule.anchor_date is None:
            alike = [one for one in left if one.slug == new.slug and getattr(one.schedule, "interval", None) == schedule.interval]
            alike = [one for one in alike if schedule.timezone is None or _zone(one) == _zone(new)]
            if alike:
                left.remove(alike[0])
                new = new.model_copy(update={"schedule": alike[0].schedule})
        made.append(new)
    return made


def _zone(schedule: Any) -> str:
    return schedule.schedule.timezone or "UTC"


def default_pull(spec: DeploymentSpec) -> list[dict[str, Any]]:
    """Return how code is found that nothing says how to pull: in the image that is built, else in this very folder."""
    is_built = any("build_docker_image" in name for step in spec.build or () for name in step)
    folder = f"{IMAGE_FOLDER}/{Path.cwd().name}" if is_built else IMAGE_FOLDER if "image" in spec.work_pool.job_variables else str(Path.cwd())
    return [{"headrace.deployments.steps.set_working_directory": {"directory": folder}}]


def read_existing(name: str) -> Deployment | None:
    """Return the deployment "flow/name" of the server, or None."""
    from headrace.model.endpoints.deployments import READ_DEPLOYMENT_BY_NAME

    flow_name, _, deployment_name = name.partition("/")
    try:
        return drive(current_client().call(READ_DEPLOYMENT_BY_NAME, flow_name=flow_name, deployment_name=deployment_name))
    except ObjectNotFound:
        return None


def run_build(prepared: Sequence[Prepared], print_line: Callable[[str], None]) -> list[Ready]:
    """Run the build and push steps and put in what they gave. Steps that several deployments share run once.

    Raises `StepExecutionError` for a step that fails, and `ProjectInvalid` when what the steps gave does not fit. The server is not changed.
    """
    setup()  # steps that build and upload tell in the log how far they are
    done: dict[str, dict[str, Any]] = {}
    ready: list[Ready] = []
    problems: list[Problem] = []
    for one in prepared:
        key = json.dumps([one.spec.build, one.spec.push], sort_keys=True, default=str)
        if key not in done:
            built = run_steps(one.spec.build or [], print_function=print_line)
            done[key] = run_steps(one.spec.push or [], built, print_function=print_line)
        data, found = after_steps(one.entry, one.data, done[key])
        spec, wrong = validated(DeploymentSpec, data, one.entry.source, one.entry.path)
        problems += [*found, *wrong]
        if isinstance(spec, DeploymentSpec):
            problems += _problems_after(one, spec)
            ready.append(Ready(one, spec, desired(one, spec, read_existing(one.name))))
    if problems:
        raise ProjectInvalid(list(dict.fromkeys(problems)))
    return ready


def _problems_after(one: Prepared, spec: DeploymentSpec) -> list[Problem]:
    """Check what steps may have filled in."""
    if not one.has_steps:
        return []
    variables = job_variable_problems(one.pool, spec.work_pool.job_variables) if one.pool is not None else []
    found = [one.entry.problem(("work_pool", "job_variables", name), message) for name, message in variables]
    if spec.enforce_parameter_schema:
        schema = one.flow.parameters.model_dump_for_openapi()
        found += [
            one.entry.problem(("parameters", name), message) for name, message in parameter_problems(schema, spec.parameters, is_complete=False)
        ]
    return found


def apply(ready: Sequence[Ready]) -> list[Made]:
    """Write the deployments to the server, in their order, and say what became of each. After one that cannot be written, the rest is not tried."""
    made: list[Made] = []
    failed = False
    for one in ready:
        name = one.prepared.name
        if failed:
            made.append(Made(name, error="It was not tried, because an earlier one failed."))
            continue
        try:
            what = "created" if read_existing(name) is None else "changed"
            made.append(Made(name, what, _write(one)))
        except HeadraceException as error:
            failed = True
            made.append(Made(name, error=str(error)))
    return made


def _write(one: Ready) -> Deployment:
    from headrace.model.endpoints.deployments import CREATE_DEPLOYMENT
    from headrace.model.endpoints.flows import CREATE_FLOW
    from headrace.model.flows import FlowCreate

    client = current_client()
    flow = drive(client.call(CREATE_FLOW, FlowCreate(name=one.prepared.flow.name)))
    deployment = drive(client.call(CREATE_DEPLOYMENT, one.body.model_copy(update={"flow_id": flow.id})))
    _write_triggers(one, deployment)
    return deployment


def _write_triggers(one: Ready, deployment: Deployment) -> None:
    """Replace the automations that belong to the deployment. One of which the project says nothing goes away, as documented."""
    from headrace.model.automations import AutomationCreate
    from headrace.model.endpoints.automations import CREATE_AUTOMATION, DELETE_OWNED_AUTOMATIONS, READ_RELATED_AUTOMATIONS

    client, resource = current_client(), f"prefect.deployment.{deployment.id}"
    if not one.spec.triggers and not drive(client.call(READ_RELATED_AUTOMATIONS, resource_id=resource)):
        return
    drive(client.call(DELETE_OWNED_AUTOMATIONS, resource_id=resource))
    for number, trigger in enumerate(one.spec.triggers, 1):
        named = trigger.model_copy(update={"name": trigger.name or f"{deployment.name}__automation_{number}"})
        named.set_deployment_id(deployment.id)
        core = named.as_automation()
        try:
            drive(client.call(CREATE_AUTOMATION, AutomationCreate(**{name: getattr(core, name) for name in core.model_fields_set})))
        except HeadraceException as error:
            message = f"The deployment {one.prepared.name!r} was written, but not its automation {named.name!r}: {error}"
            raise DeploymentApplyError(message) from error
