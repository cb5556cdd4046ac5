"""Running the steps of a deployment: finding each step's function, filling in its inputs, keeping what it answers for the ones that follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from headrace.client.bridge import blocking
from headrace.data.importing import from_qualified_name
from headrace.deploy.templating import (
    KEPT,
    Placeholder,
    PlaceholderType,
    aresolve_stored,
    find_placeholders,
    named_value,
    substitute,
)
from headrace.model.errors import PluginNotInstalled, StepExecutionError
from headrace.objects.offload import call_either
from headrace.plugin import Kind, get_registry

RESERVED = ("id", "requires")
_DOCUMENTED_ROOT = re.compile(r"prefect(?=[._-])")
_SECRET_NAME = re.compile(r"token|password|secret|credential|api_key|private_key", re.IGNORECASE)


class Step(NamedTuple):
    """A step as it is written: the dotted name of its function, its inputs, and what is reserved."""

    function: str
    inputs: dict[str, Any]
    id: str | None
    requires: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name by which the function is looked for: a documented path with our root in it."""
        return own_name(self.function)


def own_name(dotted: str) -> str:
    """Return a documented dotted name with our root: `prefect.…` is `headrace.…`, `prefect_docker.…` is `headrace_docker.…`."""
    return _DOCUMENTED_ROOT.sub("headrace", dotted, count=1) if _DOCUMENTED_ROOT.match(dotted) else dotted


def parse_step(step: Any) -> Step:
    """Return a step `{"dotted.name": {inputs}}` taken apart. Raises `ValueError` when it has not exactly one key, or inputs that are no mapping."""
    if not isinstance(step, Mapping) or len(cast("Mapping[str, Any]", step)) != 1:
        names = f"it has {', '.join(map(str, cast('Mapping[Any, Any]', step)))}" if isinstance(step, Mapping) else f"it is {step!r}"
        raise ValueError(f"A step has exactly one key, the dotted name of its function, with its inputs below; {names}. Write one step a list item.")
    ((function, given),) = cast("Mapping[Any, Any]", step).items()
    if not isinstance(function, str) or not function:
        raise ValueError(f"A step is named by text, as headrace.deployments.steps.git_clone, not by {function!r}.")
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"The inputs of step {function} are a mapping of names to values, not {given!r}.")
    inputs = {str(name): value for name, value in cast("Mapping[Any, Any]", given or {}).items()}
    id, requires = inputs.pop("id", None), inputs.pop("requires", None)
    listed: list[Any] = [] if requires is None else cast("list[Any]", requires) if isinstance(requires, list) else [requires]
    return Step(function, inputs, None if id is None else str(id), tuple(str(one) for one in listed))


def find_function(step: Step) -> Callable[..., Any]:
    """Return the function of a step: one that headrace or a plugin offers by that name, else the one at that import path.

    When it cannot be imported and the step says what it requires, that is installed first. Raises `ImportError`, and the errors of plugins.
    """
    try:
        return _imported(step.name)
    except ImportError:
        if not step.requires:
            raise
    _install(step)
    return _imported(step.name)


def _imported(name: str) -> Callable[..., Any]:
    try:
        return cast("Callable[..., Any]", get_registry().resolve(Kind.STEP, name))
    except PluginNotInstalled as error:
        if "." not in name:
            raise ImportError(str(error)) from None
        hint = str(error)
    try:
        found = from_qualified_name(name)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"The step {name} cannot be imported: {error}. {hint}") from error
    if not callable(found):
        raise ImportError(f"The step {name} is a {type(found).__name__}, not a function.")  # noqa: TRY004  # it cannot be had by that name
    return found


def _install(step: Step) -> None:
    import importlib
    import logging

    from packaging.requirements import InvalidRequirement, Requirement

    from headrace.deploy.steps.shell import install

    packages = [own_name(one) for one in step.requires]
    for one in packages:
        try:
            Requirement(one)
        except InvalidRequirement as error:
            raise ValueError(f"The step {step.function} requires {one!r}, which names no package: {error}.") from error
    logging.getLogger("headrace.deployments").warning(
        "The step %s is not installed here, so what it requires is installed now: %s. Install it beforehand to have the same versions every time.",
        step.function,
        ", ".join(packages),
    )
    install(packages)
    importlib.invalidate_caches()


async def arun_step(step: dict[str, Any], upstream_outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run one step and return what it answers.

    `step` is `{"dotted.name.of.a.function": {inputs}}`. Placeholders in the inputs are filled in from `upstream_outputs`, then from stored
    blocks, stored variables and the environment; an input that is a placeholder for nothing is left out. Of the inputs, `id` names the step
    for those that follow, and `requires` says what to install when the function cannot be imported. Raises `ValueError` for a step that is
    none, `ImportError`, and whatever the function raises.
    """
    parsed = parse_step(step)
    function = find_function(parsed)
    inputs = await aresolve_inputs(parsed.inputs, upstream_outputs or {})
    return await call_either(partial(function, **inputs))


async def aresolve_inputs(inputs: dict[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a step with every placeholder filled in: outputs of steps first, then what is stored or in the environment."""

    def of_outputs(one: Placeholder) -> Any:
        return named_value(outputs, one) if one.type is PlaceholderType.STANDARD else KEPT

    return await aresolve_stored(substitute(inputs, of_outputs))


async def arun_steps(
    steps: Sequence[dict[str, Any]],
    upstream_outputs: dict[str, Any] | None = None,
    print_function: Any = print,
    deployment: Any | None = None,
    flow_run: Any | None = None,
    logger: Any | None = None,
) -> dict[str, Any]:
    """Run steps one after the other and return all they answered, with what `upstream_outputs` held.

    An answer's keys stand by themselves (the latest wins) and, for a step with an `id`, below that. `print_function` gets a line for each step;
    None is silent. With `flow_run`, an event tells how each step of its pull ended, with the inputs as they are written. Raises
    `StepExecutionError` for the first step that fails, and runs no further.
    """
    outputs: dict[str, Any] = dict(upstream_outputs or {})
    for index, step in enumerate(steps or ()):
        parsed = parse_step(step)
        if print_function is not None:
            print_function(f" > Running {parsed.function} step...")
        try:
            answer: Any = await arun_step(step, outputs)
        except Exception as error:
            _tell(flow_run, deployment, parsed, index, "failed", logger)
            raise StepExecutionError(f"Encountered error while running {parsed.function}: {type(error).__name__}: {error}") from error
        _tell(flow_run, deployment, parsed, index, "executed", logger)
        if isinstance(answer, Mapping):
            given = dict(cast("Mapping[str, Any]", answer))
            outputs.update(given)
            if parsed.id is not None:
                outputs[parsed.id] = given
    return outputs


def _tell(flow_run: Any, deployment: Any, step: Step, index: int, how: str, logger: Any) -> None:
    if flow_run is None:
        return
    from headrace.objects.events import emit_event

    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.name": str(flow_run.name)}
    related = [deployment.as_related_resource()] if hasattr(deployment, "as_related_resource") else []
    payload = {
        "index": index,
        "qualified_name": step.function,
        "step_name": step.function.rpartition(".")[2],
        "id": step.id,
        "inputs": {name: _shown(name, value) for name, value in step.inputs.items()},
    }
    try:
        emit_event(f"prefect.flow-run.pull-step.{how}", resource, related=related, payload=payload)
    except Exception as error:  # noqa: BLE001  # the run must not fail because nobody could be told of it
        if logger is not None:
            logger.warning("The event that the step %s %s could not be emitted: %s", step.function, how, error)


def _shown(name: str, value: Any) -> Any:
    """Return an input as it may be seen: a secret that is written out, rather than named by a placeholder, is hidden."""
    if isinstance(value, dict):
        return {key: _shown(str(key), item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, str):
        if _SECRET_NAME.search(name) and not find_placeholders(value):
            return "********"
        return re.sub(r"(://)[^/@\s{]+@", r"\1********@", value)
    return value


run_step = blocking(arun_step)
run_steps = blocking(arun_steps)
