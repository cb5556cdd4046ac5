"""Flow parameters at the edge: checked against annotations on the way in, turned into JSON for the record."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from headrace.data.collections import StopVisiting, visit_collection
from headrace.engine.dependencies import PLAIN
from headrace.model.errors import HeadraceException, ParameterTypeError

if TYPE_CHECKING:
    from headrace.engine.flow import Flow

_models: dict[int, tuple[Any, Any]] = {}


def validate(flow: Flow[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as the flow's annotations want them. Raises `ParameterTypeError`."""
    signature = flow.function.signature
    if not parameters or all(parameter.annotation is inspect.Parameter.empty for parameter in signature.parameters.values()):
        return parameters
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

    model, names = _model(flow)
    positions = {name: f"p{index}_" for index, name in enumerate(names)}
    try:
        checked = model.model_validate(
            {positions[name]: value for name, value in parameters.items() if name in positions and not isinstance(value, FieldInfo)}
        )
    except ValidationError as error:
        lines = [
            f"- {'.'.join(str(part) for part in (names[int(str(each['loc'][0])[1:-1])], *each['loc'][1:]))}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise ParameterTypeError("Flow run received invalid parameters:\n " + "\n ".join(lines)) from None
    return {name: getattr(checked, positions[name]) if name in positions else value for name, value in parameters.items()}


def _model(flow: Flow[..., Any]) -> tuple[Any, list[str]]:
    """Return the pydantic model of a flow's parameters, made once. Its fields have neutral names, so that any parameter name may be used."""
    key = id(flow.fn)
    known = _models.get(key)
    if known is not None and known[0][0] is flow.fn:
        return known[0][1], known[1]
    from pydantic import ConfigDict, create_model

    names: list[str] = []
    fields: dict[str, Any] = {}
    hints = _hints(flow.fn if inspect.isroutine(flow.fn) else type(flow.fn).__call__)
    for name, parameter in flow.function.signature.parameters.items():
        annotation = hints.get(name, parameter.annotation)
        if annotation is inspect.Parameter.empty or isinstance(annotation, str):
            annotation = Any
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            annotation = tuple[annotation, ...]  # pyright: ignore[reportInvalidTypeForm, reportInvalidTypeArguments]  # made at run time
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            annotation = dict[str, annotation]  # pyright: ignore[reportInvalidTypeForm, reportInvalidTypeArguments]  # made at run time
        fields[f"p{len(names)}_"] = (annotation, _default_of(parameter))
        names.append(name)
    model = create_model("Parameters", __config__=ConfigDict(arbitrary_types_allowed=True, defer_build=False), **fields)
    _models[key] = ((flow.fn, model), names)
    return model, names


def _hints(fn: Any) -> dict[str, Any]:
    """Return the annotations of a function as types. Those that cannot be read, as names of an enclosing function, are left out."""
    from typing import get_type_hints

    try:
        return get_type_hints(fn, include_extras=True)
    except Exception:  # noqa: BLE001  # annotations are users' code; the readable ones are found one by one
        hints: dict[str, Any] = {}
    inner = inspect.unwrap(fn)
    for name, annotation in getattr(inner, "__annotations__", {}).items():

        def alone() -> None: ...

        alone.__annotations__ = {name: annotation}
        try:
            hints.update(get_type_hints(alone, getattr(inner, "__globals__", {}), inspect.getclosurevars(inner).nonlocals, include_extras=True))
        except Exception:  # noqa: BLE001  # as above: this one means "anything"
            continue
    return hints


def with_saved_blocks(parameters: dict[str, Any]) -> dict[str, Any]:
    """Put saved blocks in the place of references `{"$ref": {"block_document_id" or "block_document_slug": …}}`, however deep.

    Raises `ParameterTypeError` when there is no such block.
    """
    return {name: visit_collection(value, partial(_saved_block, name), return_data=True) for name, value in parameters.items()}


def _saved_block(name: str, value: Any) -> Any:
    if type(value) is not dict:
        return value
    members = cast("dict[Any, Any]", value)
    reference = cast("dict[str, Any]", members["$ref"]) if members.keys() == {"$ref"} and isinstance(members["$ref"], dict) else {}
    if not reference.keys() & {"block_document_id", "block_document_slug"}:
        return members
    from headrace.client.bridge import drive
    from headrace.objects.blocks import Block

    try:
        block = drive(Block.aload_from_ref(reference))
    except (HeadraceException, ValueError, RuntimeError) as error:
        raise ParameterTypeError(f"Flow run received invalid parameters:\n - {name}: the block {reference!r} cannot be loaded: {error}") from error
    raise StopVisiting(block)


def _default_of(parameter: inspect.Parameter) -> Any:
    if parameter.default is inspect.Parameter.empty:
        return ...
    return parameter.default


def serialize(flow: Flow[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON data, without a method's own instance; see `Flow.serialize_parameters`."""
    bound = flow.bound_parameter
    return {name: as_json(value) for name, value in parameters.items() if name != bound}


def as_json(value: Any) -> Any:
    """Return a value as JSON data, or "<TypeName>" when it has no such form."""
    from headrace.data.annotations import BaseAnnotation
    from headrace.data.state_results import is_state
    from headrace.engine.futures import HeadraceFuture

    if type(value) in PLAIN and not isinstance(value, (float, complex, bytes)):
        return value
    if isinstance(value, BaseAnnotation):
        return as_json(value.unwrap())
    if is_state(value) or isinstance(value, HeadraceFuture):
        return f"<{type(cast('object', value)).__name__}>"
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, fallback=lambda one: f"<{type(one).__name__}>", inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, TypeError, RecursionError):
        return f"<{type(value).__name__}>"
