"""The JSON schema of a function's parameters, as stored with a deployment and drawn as a form."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

_REFERENCES = "#/definitions/{model}"
_ARGUMENTS = re.compile(r"^(args|arguments|parameters|params)\s*:\s*$", re.IGNORECASE)
_SECTION = re.compile(r"^[A-Z][A-Za-z ]*:\s*$")
_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")


class ParameterSchema(BaseModel):
    """A JSON schema of an object whose properties are a function's parameters."""

    model_config = ConfigDict(defer_build=True)

    title: Literal["Parameters"] = "Parameters"
    type: Literal["object"] = "object"
    properties: dict[str, Any] = Field(default_factory=dict)
    required: list[str] = Field(default_factory=list)
    definitions: dict[str, Any] = Field(default_factory=dict)

    def model_dump_for_openapi(self) -> dict[str, Any]:
        """Return the schema as JSON data, without lists and definitions that are empty."""
        data = self.model_dump(mode="json")
        return {key: value for key, value in data.items() if value or key == "properties"}


class _Lenient(GenerateJsonSchema):
    """Writes schemas that leave open what JSON cannot say."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Stay silent about defaults that are no JSON: they are left out."""


def generate_parameter_schema(
    signature: inspect.Signature, docstrings: Mapping[str, str], namespace: Mapping[str, Any] | None = None
) -> ParameterSchema:
    """Return the schema for a signature. `docstrings` describe parameters by name; text annotations are looked up in `namespace`."""
    schema = ParameterSchema()
    for position, (name, parameter) in enumerate(signature.parameters.items()):
        field = _field(parameter)
        described, definitions = _describe(_annotation(parameter, namespace or {}), field)
        described["title"] = field.title or name
        described["position"] = position
        if name in docstrings:
            described.setdefault("description", docstrings[name])
        schema.properties[name] = described
        schema.definitions.update(definitions)
        if field.is_required() and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            schema.required.append(name)
    return schema


def _annotation(parameter: inspect.Parameter, namespace: Mapping[str, Any]) -> Any:
    annotation: Any = parameter.annotation
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, dict(namespace))  # noqa: S307  # the function's own annotation, in its own module
        except Exception:  # noqa: BLE001  # what cannot be evaluated here is left open
            annotation = Any
    if annotation is parameter.empty:
        annotation = Any
    if parameter.kind is parameter.VAR_POSITIONAL:
        return list[annotation]
    if parameter.kind is parameter.VAR_KEYWORD:
        return dict[str, annotation]
    return annotation


def _field(parameter: inspect.Parameter) -> FieldInfo:
    if isinstance(parameter.default, FieldInfo):
        return parameter.default
    default: Any = ... if parameter.default is parameter.empty else parameter.default
    made: Any = Field(default=default)
    return made


def _describe(annotation: Any, field: FieldInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of one parameter and the definitions it refers to; an open one for a type that has no schema."""
    try:
        # A neutral name, so that any parameter name will do: `schema` and `_x` too.
        fields: dict[str, Any] = {"value": (annotation, field)}
        model = create_model("Parameters", __config__=ConfigDict(arbitrary_types_allowed=True), **fields)
        whole = model.model_json_schema(ref_template=_REFERENCES, schema_generator=_Lenient)
    except Exception:  # noqa: BLE001  # annotations are users' code
        return {}, {}
    [described] = whole["properties"].values()
    return described, whole.get("$defs") or whole.get("definitions") or {}


def parse_docstring(docstring: str | None) -> dict[str, str]:
    """Return the entries of a docstring's section of arguments, by name; lines that go on are joined by blanks."""
    found: dict[str, str] = {}
    if not docstring:
        return found
    lines = inspect.cleandoc(docstring).splitlines()
    start = next((number for number, line in enumerate(lines) if _ARGUMENTS.match(line)), None)
    if start is None:
        return found
    name, indent = "", -1
    for line in lines[start + 1 :]:
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if not text:
            continue
        if depth == 0 or _SECTION.match(line):
            break
        entry = _ENTRY.match(text)
        if entry is not None and (indent < 0 or depth <= indent):
            name, indent = entry.group(1), depth
            found[name] = entry.group(2).strip()
        elif name:
            found[name] = f"{found[name]} {text}".strip()
    return found


def schema_from_entrypoint(entrypoint: str) -> ParameterSchema:
    """See `headrace.data.callables.parameter_schema_from_entrypoint`."""
    location, _, name = entrypoint.rpartition(":")
    path = _source_file(location)
    source = path.read_text(encoding="utf-8")
    definition = _definition(ast.parse(source), name.split("."))
    if definition is None:
        raise ValueError(f"Could not find the function {name!r} in {str(path)!r}.")
    from headrace.data.importing import safe_load_namespace

    namespace = safe_load_namespace(source, str(path))
    signature = inspect.Signature(list(_parameters(definition.args, namespace)))
    if "." in name and not _is_static(definition):
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    return generate_parameter_schema(signature, parse_docstring(ast.get_docstring(definition)), namespace)


def _source_file(location: str) -> Path:
    if location.endswith(".py"):
        return Path(location)
    from importlib.util import find_spec

    spec = find_spec(location)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {location!r} whose source could be read.")
    return Path(spec.origin)


def _definition(tree: ast.Module, path: list[str]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    body: list[ast.stmt] = tree.body
    for part in path[:-1]:
        inner = [node.body for node in body if isinstance(node, ast.ClassDef) and node.name == part]
        if not inner:
            return None
        body = inner[0]
    wanted = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == path[-1])
    return next(wanted, None)


def _is_static(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "staticmethod" for decorator in definition.decorator_list)


def _parameters(arguments: ast.arguments, namespace: dict[str, Any]) -> list[inspect.Parameter]:
    """Return the parameters that a definition has, with what of annotations and defaults can be evaluated."""
    kinds = inspect.Parameter
    positional = [(one, kinds.POSITIONAL_ONLY) for one in arguments.posonlyargs] + [(one, kinds.POSITIONAL_OR_KEYWORD) for one in arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    found = [_parameter(one, kind, default, namespace) for (one, kind), default in zip(positional, [*missing, *arguments.defaults], strict=True)]
    if arguments.vararg is not None:
        found.append(_parameter(arguments.vararg, kinds.VAR_POSITIONAL, None, namespace))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(_parameter(one, kinds.KEYWORD_ONLY, default, namespace))
    if arguments.kwarg is not None:
        found.append(_parameter(arguments.kwarg, kinds.VAR_KEYWORD, None, namespace))
    return found


def _parameter(argument: ast.arg, kind: Any, default: ast.expr | None, namespace: dict[str, Any]) -> inspect.Parameter:
    value: Any = inspect.Parameter.empty
    if default is not None:
        try:
            value = eval(ast.unparse(default), namespace)  # noqa: S307  # the function's own default, as defining it would run it
        except Exception:  # noqa: BLE001  # it has a default, though not one that can be had here
            value = None
    annotation = inspect.Parameter.empty if argument.annotation is None else ast.unparse(argument.annotation)
    return inspect.Parameter(argument.arg, kind, default=value, annotation=annotation)
