"""What the infrastructure of one run is made from: a pool's base job template and the values given by deployment and run, merged.

Lowest to highest: the template's defaults, the deployment's job variables, the run's. Each replaces the one below it, save `env`, whose
variables are merged one by one at every level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from headrace.deploy.templating import apply_values, aresolve_block_document_references, aresolve_variables
from headrace.model import job_templates
from headrace.objects.secret_texts import MASK, is_secret_name
from headrace.settings import get_current_settings
from headrace.settings.environment import internal_name

if TYPE_CHECKING:
    from uuid import UUID

    from headrace.client.interface import Client
    from headrace.model.deployments import Deployment
    from headrace.model.flow_runs import FlowRun
    from headrace.model.flows import Flow
    from headrace.model.work_pools import WorkPool

COMMAND = "headrace flow-run execute"
"""What runs a flow run anywhere; it finds out which from the environment."""

_COMMON = {
    "name": "Name given to infrastructure created by a worker.",
    "env": "Environment variables to set when starting a flow run.",
    "labels": "Labels applied to infrastructure created by a worker.",
    "command": "The command to use when starting a flow run. In most cases, this should be left blank and the worker generates it.",
}


class BaseJobConfiguration(BaseModel):
    """What a worker starts a run with. Subclass it with a field for each thing that can be configured.

    A field's value comes from the variable of its name, or from the template in `json_schema_extra={"template": "{{ memory }}Mi"}`. Its `repr`
    shows no value of a variable whose name tells of a secret.
    """

    model_config = ConfigDict(defer_build=True, arbitrary_types_allowed=True)

    command: str | None = Field(default=None, description=_COMMON["command"])
    env: dict[str, str | None] = Field(default_factory=dict, description=_COMMON["env"])
    labels: dict[str, str] = Field(default_factory=dict, description=_COMMON["labels"])
    name: str | None = Field(default=None, description=_COMMON["name"])

    _related: list[dict[str, str]] = PrivateAttr(default_factory=list[dict[str, str]])

    @field_validator("env", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        """Take numbers and booleans for the texts that they are in an environment."""
        if not isinstance(value, Mapping):
            return value
        given = cast("Mapping[str, Any]", value)
        return {key: str(item) if isinstance(item, bool | int | float) else item for key, item in given.items()}

    @field_validator("labels", mode="before")
    @classmethod
    def _no_labels(cls, value: Any) -> Any:
        return {} if value is None else value

    @property
    def is_using_a_runner(self) -> bool:
        """Whether the command runs the flow by this library's own executor."""
        return self.command is None or "flow-run execute" in self.command

    @classmethod
    def json_template(cls) -> dict[str, Any]:
        """Return the placeholder of each field: what it declares as `template`, else the variable of its name."""
        found: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            extra = field.json_schema_extra
            declared = cast("dict[str, Any]", extra).get("template") if isinstance(extra, dict) else None
            found[name] = f"{{{{ {name} }}}}" if declared is None else deepcopy(declared)
        return found

    @classmethod
    async def from_template_and_values(cls, base_job_template: dict[str, Any], values: dict[str, Any], client: Client | None = None) -> Self:
        """Return the configuration that a template makes of values (those of the run over those of its deployment).

        A variable without a value leaves its field out, so that the class's own default holds; a false or empty value is a value. References to
        stored blocks and variables are resolved. Raises pydantic's `ValidationError`, and `ObjectNotFound` for a block that does not exist.
        """
        return cls(**await resolved_configuration(base_job_template, values, client))

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: Deployment | None = None,
        flow: Flow | None = None,
        work_pool: WorkPool | None = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """Add what belongs to this run: the environment that it needs, labels that name it, its name, the command.

        What is configured goes before what is added; a variable configured as null is removed.
        """
        told = {
            **get_current_settings().to_environment_variables(exclude_unset=True),
            **attribution(flow_run, deployment, flow, worker_name, worker_id),
        }
        env = {**told, **self.env}
        self.env = {key: value for key, value in env.items() if value is not None}
        self.labels = {**run_labels(flow_run, deployment, flow, work_pool, worker_name), **self.labels}
        self.name = _named(self.name, flow_run, flow) or flow_run.name
        self.command = self.command or self._base_flow_run_command()

    def _base_flow_run_command(self) -> str:
        """Return the command of a run for which none is configured."""
        return COMMAND

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if name == "env":
                env = cast("Mapping[str, str | None]", value)
                yield name, {key: MASK if is_secret_name(key) and item is not None else item for key, item in env.items()}
            else:
                yield name, value


class BaseVariables(BaseModel):
    """The variables of a worker's default base job template. Subclass it where the fields of the configuration are not themselves the variables."""

    model_config = ConfigDict(defer_build=True)

    name: str | None = Field(default=None, description=_COMMON["name"])
    env: dict[str, str | None] = Field(default_factory=dict, title="Environment Variables", description=_COMMON["env"])
    labels: dict[str, str] = Field(default_factory=dict, description=_COMMON["labels"])
    command: str | None = Field(default=None, description=_COMMON["command"])


class BaseWorkerResult(BaseModel):
    """What became of a run's infrastructure. True when its status code is 0."""

    identifier: str
    status_code: int

    _reason: str = PrivateAttr(default="")

    @property
    def reason(self) -> str:
        """Why the status code is none of the infrastructure's own, a sentence or more; empty when it is."""
        return self._reason

    def because(self, reason: str) -> Self:
        """Note why the status code is none of the infrastructure's own. Returns this."""
        self._reason = reason
        return self

    def __bool__(self) -> bool:
        """Say whether it ended well."""
        return self.status_code == 0


def default_template(configuration: type[BaseJobConfiguration], variables: type[BaseModel] | None) -> dict[str, Any]:
    """Return the base job template of a worker type: its configuration's placeholders, and the schema of its variables."""
    schema = (variables or configuration).model_json_schema(ref_template="#/definitions/{model}")
    if "$defs" in schema:
        schema["definitions"] = schema.pop("$defs")
    for key in ("title", "description"):
        schema.pop(key, None)
    return {"job_configuration": configuration.json_template(), "variables": schema}


async def resolved_configuration(base_job_template: dict[str, Any], values: dict[str, Any], client: Client | None = None) -> dict[str, Any]:
    """Return the fields of a job configuration; see `BaseJobConfiguration.from_template_and_values`."""
    template = cast("dict[str, Any]", base_job_template.get("job_configuration") or {})
    defaults = job_templates.defaults(base_job_template)
    variables = merged(defaults, values)
    filled: Any = apply_values(template, variables, skip_prefixes=["ctx."])
    if isinstance(template.get("env"), dict) and isinstance(variables.get("env"), dict):  # the template has some of its own
        filled["env"] = {**filled.get("env", {}), **variables["env"]}
    filled = await aresolve_block_document_references(filled, client)
    return await aresolve_variables(filled, client)


def merged(*levels: Mapping[str, Any]) -> dict[str, Any]:
    """Merge levels of job variables, the last one highest. Names with dots are paths; where both are given, the nested form goes first."""
    found: dict[str, Any] = {}
    env: dict[str, Any] = {}
    for level in levels:
        nested = expanded(level)
        env.update(cast("dict[str, Any]", nested["env"]) if isinstance(nested.get("env"), dict) else {})
        found.update(nested)
    if env:
        found["env"] = env
    return found


def expanded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with `{"env.A": 1}` turned into `{"env": {"A": 1}}`."""
    found = {key: value for key, value in values.items() if "." not in key}
    for key, value in values.items():
        first, _, rest = key.partition(".")
        if not rest:
            continue
        below = expanded({rest: value})
        found[first] = _deeply(below, cast("dict[str, Any]", found[first])) if isinstance(found.get(first), dict) else found.get(first, below)
    return found


def _deeply(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    result = {**low, **high}
    for key in low.keys() & high.keys():
        if isinstance(low[key], dict) and isinstance(high[key], dict):
            result[key] = _deeply(low[key], high[key])
    return result


def attribution(
    flow_run: FlowRun, deployment: Deployment | None = None, flow: Flow | None = None, worker_name: str | None = None, worker_id: UUID | None = None
) -> dict[str, str]:
    """Return the internal variables that tell a process which run it is and where that comes from."""
    told = {
        "FLOW_RUN_ID": str(flow_run.id),
        "CLAIM": str(flow_run.state_id) if flow_run.state_name == "Pending" else None,  # the state by which the worker took it
        "FLOW_ID": str(flow_run.flow_id),
        "FLOW_NAME": flow.name if flow is not None else None,
        "DEPLOYMENT_ID": str(deployment.id) if deployment is not None else None,
        "DEPLOYMENT_NAME": deployment.name if deployment is not None else None,
        "WORKER_ID": str(worker_id) if worker_id is not None else None,
        "WORKER_NAME": worker_name,
    }
    return {internal_name(name): value for name, value in told.items() if value is not None}


def run_labels(
    flow_run: FlowRun, deployment: Deployment | None, flow: Flow | None, work_pool: WorkPool | None, worker_name: str | None
) -> dict[str, str]:
    """Return labels that name a run and what it belongs to. Their keys are those that other tools know."""
    labels = {"prefect.io/flow-run-id": str(flow_run.id), "prefect.io/flow-run-name": flow_run.name, "prefect.io/version": version("headrace")}
    if deployment is not None:
        labels["prefect.io/deployment-id"] = str(deployment.id)
        labels["prefect.io/deployment-name"] = deployment.name
        if deployment.updated is not None:
            labels["prefect.io/deployment-updated"] = deployment.updated.isoformat()
    if flow is not None:
        labels["prefect.io/flow-id"] = str(flow.id)
        labels["prefect.io/flow-name"] = flow.name
    if work_pool is not None:
        labels["prefect.io/work-pool-name"] = work_pool.name
        labels["prefect.io/work-pool-id"] = str(work_pool.id)
    if worker_name is not None:
        labels["prefect.io/worker-name"] = worker_name
    return labels


def _named(template: str | None, flow_run: FlowRun, flow: Flow | None) -> str | None:
    if template is None or "{{" not in template:
        return template
    context = {"flow_run": flow_run.model_dump(mode="json"), "flow": flow.model_dump(mode="json") if flow is not None else {}}
    found = apply_values(template, {"ctx": context})
    return str(found) if isinstance(found, str) else None
