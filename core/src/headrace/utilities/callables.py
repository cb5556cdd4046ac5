"""Functions seen from outside: binding arguments to parameters and back, and the JSON schema of the parameters."""

from typing import TYPE_CHECKING, Any

from headrace.data.callables import (
    call_with_parameters,
    cloudpickle_wrapped_call,
    collapse_variadic_parameters,
    expand_mapping_parameters,
    explode_variadic_parameter,
    get_call_parameters,
    get_parameter_defaults,
    parameter_docstrings,
    parameter_schema,
    parameter_schema_from_entrypoint,
    parameters_to_args_kwargs,
    raise_for_reserved_arguments,
)

if TYPE_CHECKING:
    from headrace.data.parameter_schema import ParameterSchema, generate_parameter_schema

__all__ = [
    "ParameterSchema",
    "call_with_parameters",
    "cloudpickle_wrapped_call",
    "collapse_variadic_parameters",
    "expand_mapping_parameters",
    "explode_variadic_parameter",
    "generate_parameter_schema",
    "get_call_parameters",
    "get_parameter_defaults",
    "parameter_docstrings",
    "parameter_schema",
    "parameter_schema_from_entrypoint",
    "parameters_to_args_kwargs",
    "raise_for_reserved_arguments",
]


def __getattr__(name: str) -> Any:
    if name in ("ParameterSchema", "generate_parameter_schema"):  # these two need pydantic
        from headrace.data import parameter_schema as schemas

        return getattr(schemas, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
