"""Checking deployments against the code, the server and the remotes, before anything is changed. Every problem is found, not the first alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.deploy.deployments import IMAGE_FOLDER
from headrace.deploy.loading import load_flow_from_entrypoint
from headrace.deploy.project.choice import Entry
from headrace.deploy.project.shapes import DeploymentSpec, validated
from headrace.deploy.project.source import Path_, Problem, ProjectInvalid
from headrace.deploy.project.values import before_steps, settled
from headrace.deploy.steps.run import Step, find_function, parse_step
from headrace.deploy.templating import PlaceholderType, aresolve_stored, find_placeholders
from headrace.model import clock, job_templates
from headrace.model.errors import MissingExtra, MissingFlowError, ObjectNotFound, ScriptError, near
from headrace.objects.git.clones import GitError, is_reachable, repository_at
from headrace.rules.schedules import dates
from headrace.rules.schema_check import problems as schema_problems

if TYPE_CHECKING:
    from headrace.engine.flow import Flow
    from headrace.model.work_pools import WorkPool

GIT_CLONE = ("headrace.deployments.steps.git_clone", "headrace.deployments.steps.pull.git_clone", "git_clone")


@dataclass
class Prepared:
    """A deployment that can be made: its values as far as they are known, its flow, its pool."""

    entry: Entry
    data: dict[str, Any]
    spec: DeploymentSpec
    flow: Flow[..., Any]
    pool: WorkPool | None

    @property
    def flow_name(self) -> str:
        """The name of the flow that it deploys."""
        return self.flow.name

    @property
    def name(self) -> str:
        """Its full name, `flow/deployment`."""
        return f"{self.flow.name}/{self.spec.name}"

    @property
    def has_steps(self) -> bool:
        """Whether something is to be built or pushed first."""
        return bool(self.spec.build or self.spec.push)


@dataclass
class Checker:
    """Checks deployments of one project; what several of them name is looked up once."""

    folder: Path
    default_pool: str | None = None
    skip_remotes: bool = False
    warnings: list[str] = field(default_factory=list[str])
    _flows: dict[str, Flow[..., Any] | str] = field(default_factory=dict[str, Any])
    _pools: dict[str, Any] = field(default_factory=dict[str, Any])
    _remotes: dict[tuple[Any, ...], str | None] = field(default_factory=dict[tuple[Any, ...], str | None])

    def prepare(self, entries: Sequence[Entry]) -> list[Prepared]:
        """Return the deployments ready to be made. Raises `ProjectInvalid` with all that is wrong with any of them."""
        prepared: list[Prepared] = []
        problems: list[Problem] = []
        seen: dict[str, Entry] = {}
        for entry in entries:
            one, found = self._prepare(entry)
            problems += found
            if one is not None:
                prepared.append(one)
            name = one.name if one is not None else f"{self.flow_names(entry)[0]}/{entry.data.get('name')}"
            if entry.data.get("name") and name in seen:
                earlier = seen[name].problem(("name",), "").where
                problems.append(entry.problem(("name",), f"The deployment {name!r} is there twice, first at {earlier}. Name one otherwise."))
            seen.setdefault(name, entry)
        if problems:
            raise ProjectInvalid(list(dict.fromkeys(problems)))
        return prepared

    def flow_names(self, entry: Entry) -> list[str]:
        """Return the names by which an entry's flow may be called: its own, and that of its function with `-` for `_`."""
        entrypoint = str(entry.data.get("entrypoint") or "")
        found = self._flow(entrypoint)
        function = entrypoint.replace(":", ".").rpartition(".")[2].replace("_", "-")
        return [function] if isinstance(found, str) else [found.name, function]

    def _prepare(self, entry: Entry) -> tuple[Prepared | None, list[Problem]]:
        data, problems = settled(entry)
        spec, found = validated(DeploymentSpec, before_steps(data), entry.source, entry.path)
        told = {one.path for one in problems}  # what stands for nothing is not blamed a second time, for being nothing
        problems += [one for one in found if one.path not in told]
        flow = self._checked_flow(entry, data, problems)
        if spec is None or not isinstance(spec, DeploymentSpec):
            return None, problems
        if not spec.name:
            problems.append(entry.problem((), "The deployment has no name. Give it one, with the key name or with --name."))
        pool = self._checked_pool(entry, spec, problems)
        self._check_steps(entry, spec, problems)
        if spec.pull is None and not spec.build and "image" in spec.work_pool.job_variables:
            self.warnings.append(
                f"Nothing says how the runs of {entry.title} find their code, so they look in {IMAGE_FOLDER} of the image. "
                "Give pull steps, or pull: [] where the code is found without them."
            )
        if flow is not None:
            self._check_parameters(entry, spec, flow, problems)
        self._check_schedules(entry, spec, problems)
        if problems or flow is None:
            return None, problems
        return Prepared(entry, data, spec, flow, pool), []

    # --- the flow

    def _checked_flow(self, entry: Entry, data: dict[str, Any], problems: list[Problem]) -> Flow[..., Any] | None:
        entrypoint = data.get("entrypoint")
        if not entrypoint:
            problems.append(entry.problem(("entrypoint",), "The deployment needs an entrypoint, as path/to/file.py:flow."))
            return None
        found = self._flow(str(entrypoint))
        if isinstance(found, str):
            problems.append(entry.problem(("entrypoint",), found))
            return None
        wanted = data.get("flow_name")
        if wanted and wanted != found.name:
            message = f"The flow at {entrypoint} is named {found.name!r}, not {wanted!r}. Correct it, or leave flow_name out."
            problems.append(entry.problem(("flow_name",), message))
        return found

    def _flow(self, entrypoint: str) -> Flow[..., Any] | str:
        if entrypoint not in self._flows:
            self._flows[entrypoint] = _load(entrypoint)
        return self._flows[entrypoint]

    # --- the pool

    def _checked_pool(self, entry: Entry, spec: DeploymentSpec, problems: list[Problem]) -> WorkPool | None:
        name = spec.work_pool.name or self.default_pool
        if name is None:
            if spec.work_pool.job_variables or spec.work_pool.work_queue_name:
                message = "A queue or job variables belong to a work pool, and none is named. Give it as work_pool.name or with --pool."
                problems.append(entry.problem(("work_pool",), message))
            return None
        if name not in self._pools:
            self._pools[name] = _read_pool(name)
        found: WorkPool | str = self._pools[name]
        if isinstance(found, str):
            problems.append(entry.problem(("work_pool", "name"), found))
            return None
        if spec.work_pool.type is not None and spec.work_pool.type != found.type:
            message = f"The work pool {name!r} is of type {found.type!r}, not {spec.work_pool.type!r}. Name another pool, or correct the type."
            problems.append(entry.problem(("work_pool", "type"), message))
        if found.is_paused:
            self.warnings.append(f"The work pool {name!r} is paused, so no run will start. Resume it with `headrace work-pool resume {name}`.")
        for variable, message in job_variable_problems(found, spec.work_pool.job_variables):
            problems.append(entry.problem(("work_pool", "job_variables", variable), message))
        return found

    # --- steps

    def _check_steps(self, entry: Entry, spec: DeploymentSpec, problems: list[Problem]) -> None:
        for key in ("build", "push", "pull"):
            given: Any = entry.data.get(key)
            for index, written in enumerate(getattr(spec, key) or ()):
                path: Path_ = (key, index) if isinstance(given, list) else (key,)
                try:
                    step = parse_step(written)
                    if not step.requires:
                        find_function(step)
                except (ValueError, ImportError) as error:
                    problems.append(entry.problem(path, str(error)))
                    continue
                if key == "pull" and (message := self._pull_problem(step)) is not None:
                    problems.append(entry.problem((*path, step.function), message))

    def _pull_problem(self, step: Step) -> str | None:
        kinds = {one.type for one in find_placeholders(step.inputs)}
        if PlaceholderType.STANDARD in kinds or PlaceholderType.ENV_VAR in kinds:
            return None  # known only after the build, or where the run will be
        try:
            inputs: dict[str, Any] = drive(aresolve_stored(step.inputs))
        except ValueError as error:
            return str(error)
        if step.name not in GIT_CLONE or self.skip_remotes:
            return None
        key = (inputs.get("repository"), inputs.get("branch"), str(inputs.get("access_token")), str(inputs.get("credentials")))
        if key not in self._remotes:
            self._remotes[key] = _remote_problem(inputs)
        return self._remotes[key]

    # --- parameters and schedules

    def _check_parameters(self, entry: Entry, spec: DeploymentSpec, flow: Flow[..., Any], problems: list[Problem]) -> None:
        kinds = {parameter.kind for parameter in flow.function.signature.parameters.values()}
        if not spec.enforce_parameter_schema or Parameter.VAR_KEYWORD in kinds:
            return
        schema = flow.parameters.model_dump_for_openapi()
        for name, message in parameter_problems(schema, spec.parameters, is_complete=False):
            problems.append(entry.problem(("parameters", *([name] if name else [])), message))
        for index, schedule in enumerate(spec.all_schedules or ()):
            path: Path_ = ("schedules", index) if spec.schedules is not None else ("schedule",)
            merged = {**spec.parameters, **schedule.parameters}
            for name, message in parameter_problems(schema, merged, is_complete=schedule.active):
                if not name or name not in spec.parameters or name in schedule.parameters:
                    place = (*path, "parameters", name) if name in schedule.parameters else path
                    problems.append(entry.problem(place, message))

    def _check_schedules(self, entry: Entry, spec: DeploymentSpec, problems: list[Problem]) -> None:
        for index, schedule in enumerate(spec.all_schedules or ()):
            path: Path_ = ("schedules", index) if spec.schedules is not None else ("schedule",)
            try:
                if not dates(schedule.when(), clock.now(), n=1):
                    problems.append(entry.problem(path, "The schedule never fires again: no such time comes. Correct it, or take it out."))
            except MissingExtra as error:
                self.warnings.append(f"Whether the schedule of {entry.title} ever fires could not be checked. {error}")


def _load(entrypoint: str) -> Flow[..., Any] | str:
    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except ScriptError as error:
        raised = error.user_exc
        line = _line_in(raised, error.path)
        return f"{error.path}{line} raised while it was imported: {type(raised).__name__}: {raised}"
    except (MissingFlowError, FileNotFoundError, ImportError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # users' code may raise anything while it is imported
        return f"{entrypoint} raised while it was imported: {type(error).__name__}: {error}"


def _line_in(error: BaseException, path: str) -> str:
    line, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == Path(path).name:
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line


def _read_pool(name: str) -> WorkPool | str:
    from headrace.model.endpoints.work_pools import FILTER_WORK_POOLS, READ_WORK_POOL
    from headrace.model.work_pools import FilterWorkPools

    client = current_client()
    try:
        return drive(client.call(READ_WORK_POOL, name=name))
    except ObjectNotFound:
        others = [pool.name for pool in drive(client.call(FILTER_WORK_POOLS, FilterWorkPools()))]
        hint = near(name, others) or (f"There are: {', '.join(sorted(others)[:20])}." if others else "There is none yet.")
        return f"There is no work pool {name!r}. {hint} Create it with `headrace work-pool create {name} --type TYPE`."


def _remote_problem(inputs: dict[str, Any]) -> str | None:
    try:
        repository = repository_at(str(inputs.get("repository") or ""), inputs.get("access_token"), inputs.get("credentials"))
        is_reachable(repository, inputs.get("branch"))
    except GitError as error:
        return f"The repository cannot be reached from here: {error}. Correct the address or the credentials, or deploy with --skip-remote-check."
    except ValueError as error:
        return str(error)
    return None


def job_variable_problems(pool: WorkPool, variables: dict[str, Any]) -> list[tuple[str, str]]:
    """Return which job variables the pool does not take, and why. What holds a placeholder is left to the worker."""
    template = pool.base_job_template
    declared = job_templates.properties(template)
    found: list[tuple[str, str]] = []
    for name, value in variables.items():
        base = name.partition(".")[0]
        if not declared or not isinstance(template.get("variables"), dict):
            break
        if base not in declared:
            known = near(base, declared) or f"It knows: {', '.join(declared)}."
            found.append((name, f"The work pool {pool.name!r} of type {pool.type!r} has no job variable {base!r}. {known}"))
        elif base == name and not find_placeholders(value) and not _is_reference(value):
            schema: dict[str, Any] = {**template["variables"], "required": []}
            found += [(name, f"{text}, as the work pool {pool.name!r} wants it.") for text in schema_problems(schema, {name: value})]
    return found


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and "$ref" in cast("dict[str, Any]", value)


def parameter_problems(schema: dict[str, Any], parameters: dict[str, Any], is_complete: bool) -> list[tuple[str, str]]:
    """Return what of the parameters does not fit a flow's schema, by name ("" for one that is missing). `is_complete`: all required are wanted."""
    properties: dict[str, Any] = schema.get("properties", {})
    found: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if name not in properties:
            known = near(name, properties) or (f"It has: {', '.join(properties)}." if properties else "It has none.")
            found.append((name, f"The flow has no parameter {name!r}. {known}"))
        elif not find_placeholders(value) and not (isinstance(value, dict) and "__prefect_kind" in value):
            found += [(name, f"{text}, which the flow does not take.") for text in schema_problems({**schema, "required": []}, {name: value})]
    if is_complete:
        missing = [name for name in schema.get("required", ()) if name not in parameters]
        if missing:
            found.append(("", f"Runs of this schedule would lack {', '.join(missing)}, which the flow requires. Give it in parameters."))
    return found
