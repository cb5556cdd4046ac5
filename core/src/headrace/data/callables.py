"""Functions seen from outside: binding arguments to parameters and back, and the JSON schema of the parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from headrace.data import pickling
from headrace.data.annotations import BaseAnnotation, unmapped
from headrace.model.errors import (
    MappingLengthMismatch,
    MappingMissingIterable,
    ParameterBindError,
    ReservedArgumentError,
    SignatureMismatchError,
)

if TYPE_CHECKING:
    from headrace.data.parameter_schema import ParameterSchema

R = TypeVar("R")

_SELF = "__headrace_self__"


def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    """Return the signature; of a method that carries its own instance, with the parameter for it."""
    return inspect.signature(getattr(fn, "__func__", fn) if hasattr(fn, _SELF) else fn)


def get_call_parameters(
    fn: Callable[..., Any], call_args: tuple[Any, ...], call_kwargs: dict[str, Any], apply_defaults: bool = True
) -> dict[str, Any]:
    """Return the arguments of a call by parameter name, in the order of the parameters, with defaults filled in.

    The instance that a decorated method is bound to (`__headrace_self__`) counts as its first argument. Raises
    `ParameterBindError` when the arguments do not fit the signature.
    """
    if hasattr(fn, _SELF):
        call_args = (getattr(fn, _SELF), *call_args)
    return bind_arguments(_signature(fn), _name(fn), call_args, call_kwargs, apply_defaults)


def bind_arguments(signature: inspect.Signature, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], defaults: bool) -> dict[str, Any]:
    """Do what `get_call_parameters` does, for a signature that is known and a function called `name`."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ParameterBindError(
            f"Error binding parameters for function '{name}': {error}.\nFunction '{name}' has signature "
            f"'{', '.join(signature.parameters)}' but received args: {args!r} and kwargs: {sorted(kwargs)}."
        ) from None
    if defaults:
        bound.apply_defaults()
    return bound.arguments  # in the order of the parameters


def _name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", None) or type(fn).__name__


def get_parameter_defaults(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's parameters by name."""
    return {name: parameter.default for name, parameter in _signature(fn).parameters.items() if parameter.default is not inspect.Parameter.empty}


def explode_variadic_parameter(fn: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Move what is in the function's `**kwargs` up beside the other parameters.

    For `def foo(a, **kwargs)`: `{"a": 1, "kwargs": {"c": 3}}` → `{"a": 1, "c": 3}`.
    """
    name = _variadic(fn)
    if name is None or name not in parameters:
        return parameters
    rest = {key: value for key, value in parameters.items() if key != name}
    return {**rest, **parameters[name]}


def collapse_variadic_parameters(fn: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Undo `explode_variadic_parameter`: move what the signature does not name into the function's `**kwargs`.

    Raises `ValueError` for such a name when the function has no `**kwargs`.
    """
    known = _signature(fn).parameters
    unknown = {name: value for name, value in parameters.items() if name not in known}
    name = _variadic(fn)
    if name is None:
        if unknown:
            raise ValueError(f"Signature for {_name(fn)} does not include any variadic keyword argument to hold {', '.join(unknown)}.")
        return parameters
    kept = {key: value for key, value in parameters.items() if key in known}
    return {**kept, name: {**kept.get(name, {}), **unknown}}


def _variadic(fn: Callable[..., Any]) -> str | None:
    kinds = _signature(fn).parameters.items()
    return next((name for name, parameter in kinds if parameter.kind is parameter.VAR_KEYWORD), None)


def parameters_to_args_kwargs(fn: Callable[..., Any], parameters: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return (args, kwargs) with which to call the function for these parameters, as `get_call_parameters` gives them.

    Raises `SignatureMismatchError` when a name is not one of the function's parameters.
    """
    signature = _signature(fn)
    unknown = [name for name in parameters if name not in signature.parameters]
    if unknown:
        raise SignatureMismatchError(
            f"Function expects parameters {list(signature.parameters)} but was provided with parameters {list(parameters)}: "
            f"it does not take {', '.join(map(repr, unknown))}."
        )
    return unbind_arguments(signature, parameters)


def unbind_arguments(signature: inspect.Signature, parameters: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Do what `parameters_to_args_kwargs` does, for a signature that is known and names that are its own."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    by_name = False  # after a parameter that was left out, the rest must be given by name
    for name, parameter in signature.parameters.items():
        if name not in parameters:
            by_name = by_name or parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            continue
        value = parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            args.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs.update(value)
        elif parameter.kind is parameter.KEYWORD_ONLY or by_name:
            kwargs[name] = value
        else:
            args.append(value)
    return tuple(args), kwargs


def call_with_parameters(fn: Callable[..., R], parameters: dict[str, Any]) -> R:
    """Call a function with parameters as `get_call_parameters` gives them."""
    args, kwargs = parameters_to_args_kwargs(fn, parameters)
    return fn(*args, **kwargs)


def cloudpickle_wrapped_call(__fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], bytes]:
    """Pack a call so that plain `pickle` can send it; calling what is returned performs it and returns its pickled value."""
    from functools import partial

    payload: bytes = pickling.dumps((__fn, args, kwargs))
    return partial(_run_wrapped_call, payload)


def _run_wrapped_call(payload: bytes) -> bytes:
    fn, args, kwargs = pickling.loads(payload)
    return pickling.dumps(fn(*args, **kwargs))


def raise_for_reserved_arguments(fn: Callable[..., Any], reserved_arguments: Iterable[str]) -> None:
    """Raise `ReservedArgumentError` when the function has a parameter of one of these names."""
    present = _signature(fn).parameters
    for name in reserved_arguments:
        if name in present:
            raise ReservedArgumentError(f"{name!r} is a reserved argument name and cannot be used. Rename this parameter.")


def expand_mapping_parameters(
    func: Callable[..., Any], parameters: dict[str, Any], resolve: Callable[[Any], Any] | None = None
) -> list[dict[str, Any]]:
    """Return the parameters of each call of a mapping over `parameters`.

    Iterables give one item to each call; text, bytes, what cannot be iterated and `unmapped(x)` are the same for all; other
    annotations are put around each item. `resolve` is asked what stands behind a value before it is iterated, as the list that
    a future promises. Raises `MappingMissingIterable` when nothing is iterable, `MappingLengthMismatch` when lengths differ.
    """
    iterables, constants = _sort_mapped(explode_variadic_parameter(func, parameters), resolve)
    lengths = {name: len(items) for name, items in iterables.items()}
    if not iterables:
        raise MappingMissingIterable(
            f"No iterable parameters were received. Parameters for map must include at least one iterable. Parameters: {sorted(parameters)}"
        )
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(
            f"Received iterable parameters with different lengths. Parameters for map must all be the same length. Got lengths: {lengths}"
        )
    constants = {**get_parameter_defaults(func), **constants}
    calls = [{**constants, **dict(zip(iterables, items, strict=True))} for items in zip(*iterables.values(), strict=True)]
    if not calls or calls[0].keys() <= _signature(func).parameters.keys():
        return calls
    return [collapse_variadic_parameters(func, call) for call in calls]


def _sort_mapped(parameters: dict[str, Any], resolve: Callable[[Any], Any] | None) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return what each call gets one item of, and what is the same for all."""
    from headrace.data.collections import isiterable

    iterables: dict[str, list[Any]] = {}
    constants: dict[str, Any] = {}
    for name, value in parameters.items():
        is_unmapped = isinstance(value, unmapped)
        annotation = cast("BaseAnnotation[Any]", value) if isinstance(value, BaseAnnotation) else None
        inner: Any = annotation.unwrap() if annotation is not None else cast("Any", value)
        if is_unmapped:
            constants[name] = inner
            continue
        if resolve is not None:
            inner = resolve(inner)
        if not isiterable(inner):
            constants[name] = value
        elif annotation is None:
            iterables[name] = list(inner)
        else:
            iterables[name] = [annotation.rewrap(item) for item in inner]
    return iterables, constants


# --- the schema of parameters: in its own module, for it needs pydantic ---------------------------------------------------


def parameter_schema(fn: Callable[..., Any]) -> ParameterSchema:
    """Return the JSON schema of a function's parameters: title, type, position, default, description, whether required."""
    from headrace.data.parameter_schema import generate_parameter_schema

    target = getattr(fn, "__func__", fn)
    try:
        signature = inspect.signature(fn, eval_str=True)
    except Exception:  # noqa: BLE001  # annotations are users' code, and may name what is imported for type checkers alone
        signature = inspect.signature(fn)
    return generate_parameter_schema(signature, parameter_docstrings(inspect.getdoc(fn)), getattr(target, "__globals__", {}))


def parameter_docstrings(docstring: str | None) -> dict[str, str]:
    """Return what a docstring in Google's style says of each parameter, by name."""
    from headrace.data.parameter_schema import parse_docstring

    return parse_docstring(docstring)


def parameter_schema_from_entrypoint(entrypoint: str) -> ParameterSchema:
    """Return the schema of the function at `path/to/file.py:function` or `module:function` without importing what it imports.

    The file is read and the function's definition evaluated in what could be run of it. Raises `FileNotFoundError` or
    `ModuleNotFoundError` for a missing file, `ValueError` for a missing function.
    """
    from headrace.data.parameter_schema import schema_from_entrypoint

    return schema_from_entrypoint(entrypoint)


def __getattr__(name: str) -> Any:
    if name == "ParameterSchema":
        from headrace.data.parameter_schema import ParameterSchema

        return ParameterSchema
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
