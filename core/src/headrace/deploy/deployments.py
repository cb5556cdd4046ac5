"""`RunnerDeployment`: a deployment as code describes it, and its way to the server. Everything that can be checked is checked before that."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints
from uuid import UUID

from pydantic import ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError, field_validator, model_validator

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.client.websocket import api_url
from headrace.data.annotations import freeze
from headrace.data.callables import parameter_schema
from headrace.deploy.schedules import Schedule, collected
from headrace.deploy.versions import find_version
from headrace.model.base import Model
from headrace.model.deployment_triggers import DeploymentTriggerTypes
from headrace.model.deployments import ConcurrencyLimitConfig, ConcurrencyOptions, DeploymentCreate, VersionInfo
from headrace.model.entrypoints import EntrypointType
from headrace.model.errors import (
    DeploymentApplyError,
    HeadraceHTTPStatusError,
    InvalidRequest,
    ObjectNotFound,
    ParameterTypeError,
    SignatureMismatchError,
    near,
)
from headrace.model.schedules import DeploymentScheduleCreate, DeploymentScheduleUpdate

if TYPE_CHECKING:
    from typing import Self

    from headrace.deploy.storage import RunnerStorage
    from headrace.deploy.versions import VersionType
    from headrace.engine.flow import Flow
    from headrace.model.automations import AutomationCore, AutomationCreate
    from headrace.model.work_pools import WorkPool

S = TypeVar("S")
OneOrMore = S | Iterable[S]

IMAGE_FOLDER = "/opt/headrace"
"""Where an image that is built for a flow has the flow's code."""

WHEN = ("interval", "cron", "rrule", "schedule", "schedules")
"""What says when runs begin: one of these at most is given."""
OPTIONS = {
    *WHEN,
    "paused",
    "concurrency_limit",
    "parameters",
    "triggers",
    "description",
    "tags",
    "version",
    "version_type",
    "enforce_parameter_schema",
    "work_pool_name",
    "work_queue_name",
    "job_variables",
}
"""What a deployment may say besides its name and flow; see `RunnerDeployment`."""


def deployment_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those of a function's arguments that say something of the deployment itself."""
    return {name: value for name, value in arguments.items() if name in OPTIONS}


class RunnerDeployment(Model):
    """A deployment to be registered by `apply`, or served by a runner.

    `parameters` are given to every run that is not given others; those in `freeze(...)` cannot be given others. `concurrency_limit`: how many of its
    runs may be under way at once, anywhere. `triggers` become automations that go away with the deployment. `version` is by default that of the
    commit it is deployed from, else that of the flow; `version_type` limits where a commit is looked for. `storage` brings the flow's code;
    `entrypoint` finds the flow in it. Work pool, queue and job variables are for workers.
    """

    model_config = ConfigDict(defer_build=True, arbitrary_types_allowed=True, validate_assignment=False)

    name: str
    flow_name: str | None = None
    description: str | None = None
    version: str | None = None
    version_type: str | None = None
    tags: list[str] = Field(default_factory=list[str])
    schedules: list[DeploymentScheduleCreate | DeploymentScheduleUpdate] | None = None
    concurrency_limit: int | None = Field(default=None, gt=0)
    concurrency_options: ConcurrencyOptions | None = None
    paused: bool | None = None
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    entrypoint: str | None = None
    triggers: list[DeploymentTriggerTypes] = Field(default_factory=list[DeploymentTriggerTypes])
    enforce_parameter_schema: bool = True
    storage: Any = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = Field(default_factory=dict[str, Any])

    _entrypoint_type: EntrypointType = PrivateAttr(default=EntrypointType.FILE_PATH)
    _schema: dict[str, Any] | None = PrivateAttr(default=None)
    _path: str | None = PrivateAttr(default=None)

    @property
    def entrypoint_type(self) -> EntrypointType:
        """What the entrypoint names."""
        return self._entrypoint_type

    @property
    def full_name(self) -> str:
        """`flow name/deployment name`."""
        return f"{self.flow_name}/{self.name}"

    @field_validator("name")
    @classmethod
    def validate_name(cls, value: str) -> str:
        """Return the name, that of the file for one that ends in `.py`. Raises `ValueError` for characters that a name cannot have."""
        name = Path(value).stem if value.endswith(".py") else value
        bad = sorted({character for character in name if character in "/%&><"})
        if bad or not name:
            raise ValueError(f"Invalid deployment name {value!r}: it is empty or has {' '.join(bad) or 'nothing in it'}, which no name may have.")
        return name

    @model_validator(mode="after")
    def validate_automation_names(self) -> Self:
        """Name the automations of triggers that have no name, by the deployment and their number."""
        for index, trigger in enumerate(self.triggers):
            trigger.name = trigger.name or f"{self.name}__automation_{index + 1}"
        return self

    # --- making one ---------------------------------------------------------------------------------------------------------

    @classmethod
    def from_flow(
        cls,
        flow: Flow[..., Any],
        name: str,
        interval: OneOrMore[float] | OneOrMore[timedelta] | None = None,
        cron: OneOrMore[str] | None = None,
        rrule: OneOrMore[str] | None = None,
        paused: bool | None = None,
        schedule: Schedule | Any | None = None,
        schedules: Sequence[Any] | None = None,
        concurrency_limit: int | ConcurrencyLimitConfig | None = None,
        parameters: dict[str, Any] | None = None,
        triggers: Sequence[Any] | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        version: str | None = None,
        version_type: VersionType | str | None = None,
        enforce_parameter_schema: bool = True,
        work_pool_name: str | None = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
        entrypoint_type: EntrypointType = EntrypointType.FILE_PATH,
    ) -> Self:
        """Describe a deployment of a flow, which must be where another process can import it.

        When runs begin is said by one of `interval` (seconds or timedelta), `cron`, `rrule` (each one value or several), `schedule` and `schedules`,
        or by none. What the rest means is told by `RunnerDeployment`. Raises `ValueError` for a flow that no file has, for two kinds of schedule and
        for a schedule that never fires, and `SignatureMismatchError` or `ParameterTypeError` for parameters that the flow does not take.
        """
        options = deployment_options(locals())
        origin = flow.origin
        if origin is not None:
            entrypoint, storage = origin.entrypoint, origin.storage
            entrypoint_type = EntrypointType.FILE_PATH if ":" in entrypoint else EntrypointType.MODULE_PATH
        else:
            entrypoint, storage = _entrypoint_of(flow, entrypoint_type), None
        return cls._made(flow, name, entrypoint, storage, entrypoint_type, options)

    @classmethod
    def from_entrypoint(
        cls,
        entrypoint: str,
        name: str,
        flow_name: str | None = None,
        interval: OneOrMore[float] | OneOrMore[timedelta] | None = None,
        cron: OneOrMore[str] | None = None,
        rrule: OneOrMore[str] | None = None,
        paused: bool | None = None,
        schedule: Schedule | Any | None = None,
        schedules: Sequence[Any] | None = None,
        concurrency_limit: int | ConcurrencyLimitConfig | None = None,
        parameters: dict[str, Any] | None = None,
        triggers: Sequence[Any] | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        version: str | None = None,
        enforce_parameter_schema: bool = True,
        work_pool_name: str | None = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
        version_type: VersionType | str | None = None,
    ) -> Self:
        """Describe a deployment of the flow at an entrypoint, such as `path/to/file.py:flow`, which is imported. Raises as `from_flow`, and what
        importing it raises."""
        from headrace.deploy.loading import load_flow_from_entrypoint

        options = deployment_options(locals())
        kind = EntrypointType.FILE_PATH if ":" in entrypoint else EntrypointType.MODULE_PATH
        flow = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        made = cls._made(flow, name, entrypoint, None, kind, options)
        made.flow_name = flow_name or made.flow_name
        return made

    @classmethod
    async def afrom_storage(
        cls,
        storage: RunnerStorage,
        entrypoint: str,
        name: str,
        flow_name: str | None = None,
        interval: OneOrMore[float] | OneOrMore[timedelta] | None = None,
        cron: OneOrMore[str] | None = None,
        rrule: OneOrMore[str] | None = None,
        paused: bool | None = None,
        schedule: Schedule | Any | None = None,
        schedules: Sequence[Any] | None = None,
        concurrency_limit: int | ConcurrencyLimitConfig | None = None,
        parameters: dict[str, Any] | None = None,
        triggers: Sequence[Any] | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        version: str | None = None,
        version_type: VersionType | str | None = None,
        enforce_parameter_schema: bool = True,
        work_pool_name: str | None = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
    ) -> Self:
        """Describe a deployment of a flow in a storage, whose code is pulled for it. Raises as `from_entrypoint`, and what pulling raises."""
        from headrace.deploy.storage import aload_flow_from_storage

        options = deployment_options(locals())
        made = cls.from_flow(await aload_flow_from_storage(storage, entrypoint), name, **options)
        made.flow_name = flow_name or made.flow_name
        return made

    from_storage = blocking(afrom_storage)

    @classmethod
    def _made(cls, flow: Flow[..., Any], name: str, entrypoint: str, storage: Any, kind: EntrypointType, options: dict[str, Any]) -> Self:
        given = {key: value for key, value in options.items() if value is not None}
        when = {key: given.pop(key, None) for key in WHEN}
        limit = given.pop("concurrency_limit", None)
        if isinstance(limit, ConcurrencyLimitConfig):
            given["concurrency_options"] = ConcurrencyOptions(**limit.model_dump(exclude={"limit"}))
            limit = limit.limit
        parameters: dict[str, Any] = given.pop("parameters", {})
        check_parameters(flow, parameters)
        if (given.get("work_queue_name") or given.get("job_variables")) and not given.get("work_pool_name"):
            raise ValueError(
                "A work queue or job variables can only be provided when registering a deployment with a work pool. Give work_pool_name too."
            )
        version, _ = find_version(given.pop("version", None), given.get("version_type"), flow.version)
        given.setdefault("description", flow.description)
        made = cls(
            name=Path(name).stem if name.endswith(".py") else name,
            flow_name=flow.name,
            schedules=collected(**when),
            concurrency_limit=limit,
            version=version,
            entrypoint=entrypoint,
            storage=storage,
            parameters={key: _thawed(value) for key, value in parameters.items()},
            **given,
        )
        made._entrypoint_type = kind
        made._schema = _schema_of(flow, parameters)
        return made

    # --- registering it -----------------------------------------------------------------------------------------------------

    async def aapply(
        self,
        schedules: Sequence[Any] | None = None,
        work_pool_name: str | None = None,
        image: str | None = None,
        version_info: VersionInfo | None = None,
    ) -> UUID:
        """Create the deployment on the server, or change the one of that name, and return its id.

        `schedules` and `work_pool_name` go before the deployment's own; `image` is what runs in the work pool. Raises `ConfigurationError` without a
        server, `ValueError` for an unknown work pool, for an image in a pool that uses none and for an image, queue or job variables without a pool,
        and `DeploymentApplyError` when the server refuses the deployment.
        """
        api_url("A deployment")
        pool_name = work_pool_name or self.work_pool_name
        if pool_name is None and (image or self.work_queue_name or self.job_variables):
            raise ValueError(
                "An image, a work queue or job variables can only be provided when registering a deployment with a work pool. "
                "Give work_pool_name too."
            )
        if pool_name is not None:
            await check_work_pool(pool_name, image)
        body = await self._body(collected(schedules=schedules) if schedules is not None else self.schedules, pool_name, image, version_info)
        return await self._send(body)

    apply = blocking(aapply)

    async def _body(
        self,
        schedules: list[DeploymentScheduleCreate | DeploymentScheduleUpdate] | None,
        pool_name: str | None,
        image: str | None,
        version_info: VersionInfo | None,
    ) -> dict[str, Any]:
        job_variables = {**self.job_variables, **({"image": image} if image else {})}
        pull_steps: list[dict[str, Any]] | None = None
        if pool_name is not None:
            pull_steps = await self._pull_steps(image)
        told = {
            "name": self.name,
            "version": self.version,
            "version_info": version_info or find_version(self.version, self.version_type, None)[1],
            "schedules": schedules,
            "paused": self.paused,
            "concurrency_limit": self.concurrency_limit,
            "concurrency_options": self.concurrency_options,
            "parameters": self.parameters,
            "description": self.description,
            "tags": self.tags,
            "path": self._path,
            "entrypoint": self.entrypoint,
            "parameter_openapi_schema": self._schema,
            "enforce_parameter_schema": self.enforce_parameter_schema,
            "work_pool_name": pool_name,
            "work_queue_name": self.work_queue_name,
            "job_variables": job_variables if pool_name is not None else None,
            "pull_steps": pull_steps,
        }
        return {key: value for key, value in told.items() if value is not None}

    async def _pull_steps(self, image: str | None) -> list[dict[str, Any]]:
        if self.storage is not None:
            step: Any = self.storage.to_pull_step()
            return cast("list[dict[str, Any]]", step if isinstance(step, list) else [step])
        if self.entrypoint_type is EntrypointType.MODULE_PATH:
            return []
        folder = f"{IMAGE_FOLDER}/{Path.cwd().name}" if image else str(Path.cwd())
        return [{"headrace.deployments.steps.set_working_directory": {"directory": folder}}]

    async def _send(self, body: dict[str, Any]) -> UUID:
        from headrace.model.endpoints.automations import CREATE_AUTOMATION, DELETE_OWNED_AUTOMATIONS
        from headrace.model.endpoints.deployments import CREATE_DEPLOYMENT
        from headrace.model.endpoints.flows import CREATE_FLOW
        from headrace.model.flows import FlowCreate

        client = current_client()
        try:
            flow = await client.call(CREATE_FLOW, FlowCreate(name=self.flow_name or self.name))
            id = (await client.call(CREATE_DEPLOYMENT, DeploymentCreate(flow_id=flow.id, **body))).id
        except ValidationError as error:
            first = error.errors()[0]
            raise DeploymentApplyError(f"The deployment {self.full_name!r} is not valid: {first['loc'][-1]}: {first['msg']}.") from None
        except (InvalidRequest, HeadraceHTTPStatusError, ObjectNotFound) as error:
            raise DeploymentApplyError(f"The server refused the deployment {self.full_name!r}: {error}") from error
        resource = f"prefect.deployment.{id}"
        try:
            await client.call(DELETE_OWNED_AUTOMATIONS, resource_id=resource)
            for trigger in self.triggers:
                trigger.set_deployment_id(id)
                await client.call(CREATE_AUTOMATION, _shaped(trigger.as_automation()))
        except (InvalidRequest, HeadraceHTTPStatusError) as error:
            raise DeploymentApplyError(f"The deployment {self.full_name!r} is registered, but not its triggers: {error}") from error
        return id


def _shaped(automation: AutomationCore) -> AutomationCreate:
    from headrace.model.automations import AutomationCreate

    return AutomationCreate(**{name: getattr(automation, name) for name in automation.model_fields_set})


# --- what is checked, and found out --------------------------------------------------------------------------------------------


def check_unique(deployments: Sequence[RunnerDeployment]) -> None:
    """Raise `ValueError` when there is no deployment, or when two have one name: the second would replace the first."""
    if not deployments:
        raise ValueError("There is no deployment. Give at least one, made by `flow.to_deployment(...)`.")
    names = [one.full_name for one in deployments]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Two deployments are called {twice[0]!r}, so one would replace the other. Name them differently.")


async def check_work_pool(name: str, image: Any = None) -> WorkPool:
    """Return the work pool. Raises `ValueError` when there is none of that name, or when it uses no images and one is given."""
    from headrace.model.endpoints.work_pools import FILTER_WORK_POOLS, READ_WORK_POOL
    from headrace.model.work_pools import FilterWorkPools

    try:
        pool = await current_client().call(READ_WORK_POOL, name=name)
    except ObjectNotFound:
        names = [one.name for one in await current_client().call(FILTER_WORK_POOLS, FilterWorkPools())]
        hint = near(name, names) or (f"There are: {', '.join(sorted(names))}." if names else "There is none yet.")
        raise ValueError(
            f"Could not find work pool {name!r}. {hint} Create it with `headrace work-pool create {name} --type process`, or name another."
        ) from None
    variables = cast("dict[str, Any]", pool.base_job_template.get("variables") or {})
    properties = cast("dict[str, Any]", variables.get("properties") or {})
    if image is not None and "image" not in properties:
        raise ValueError(
            f"Work pool {name!r} does not support custom Docker images: its type is {pool.type!r}. Leave the image out, or choose another pool."
        )
    return pool


def check_parameters(flow: Flow[..., Any], parameters: dict[str, Any]) -> None:
    """Raise `SignatureMismatchError` for a parameter that the flow does not have, `ParameterTypeError` for a value of the wrong type."""
    signature = flow.function.signature.parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.values())
    for name in parameters:
        if name not in signature and not takes_any:
            known = ", ".join(signature) or "none"
            raise SignatureMismatchError(f"Flow {flow.name!r} has no parameter {name!r}. {near(name, signature)} Its parameters: {known}.")
    if not flow.should_validate_parameters:
        return
    try:
        hints = get_type_hints(flow.fn, include_extras=True)
    except Exception:  # noqa: BLE001  # annotations are users' code; the server checks by the schema
        return
    for name, value in parameters.items():
        if name not in hints or signature[name].kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL) or _is_template(value):
            continue
        try:
            TypeAdapter(hints[name], config=None if _has_config(hints[name]) else ConfigDict(arbitrary_types_allowed=True)).validate_python(
                _thawed(value)
            )
        except ValidationError as error:
            raise ParameterTypeError(f"Parameter {name!r} of flow {flow.name!r} cannot be {value!r}: {error.errors()[0]['msg']}.") from None


def _has_config(annotation: Any) -> bool:
    return hasattr(annotation, "model_config") or hasattr(annotation, "__pydantic_config__") or hasattr(annotation, "__dataclass_fields__")


def _is_template(value: Any) -> bool:
    return isinstance(value, dict) and ("$ref" in value or "__prefect_kind" in value)


def _thawed(value: Any) -> Any:
    return cast("Any", value).unfreeze() if isinstance(value, freeze) else value


def _schema_of(flow: Flow[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    schema = parameter_schema(flow.fn).model_dump_for_openapi()
    for name, value in parameters.items():
        if isinstance(value, freeze) and name in schema["properties"]:
            thawed = _thawed(value)
            schema["properties"][name].update(readOnly=True, enum=[thawed])
    return schema


def _entrypoint_of(flow: Flow[..., Any], kind: EntrypointType) -> str:
    fn: Any = inspect.unwrap(flow.fn)
    module = str(getattr(fn, "__module__", None) or "")
    name = str(getattr(fn, "__qualname__", None) or "")
    try:
        file = inspect.getsourcefile(fn)
    except TypeError:
        file = None
    if not file or not Path(file).is_file():
        raise ValueError(
            f"The flow {flow.name!r} is in no file (it was written in a session or notebook), so another process cannot import it. "
            "Put it in a file, or use `flow.from_source(...)`."
        )
    if "<locals>" in name or "<lambda>" in name:
        raise ValueError(f"The flow {flow.name!r} is defined inside a function, where another process cannot find it. Define it in a module.")
    if kind is EntrypointType.MODULE_PATH:
        return f"{Path(file).stem if module == '__main__' else module}.{name}"
    path = Path(file).resolve()
    folder = Path.cwd().resolve()
    return f"{path.relative_to(folder) if path.is_relative_to(folder) else path}:{name}"
