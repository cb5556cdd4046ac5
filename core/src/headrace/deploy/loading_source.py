"""A flow as its source declares it, for where the code cannot be imported."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headrace.data.hashing import file_hash
from headrace.data.importing import safe_load_namespace
from headrace.engine.flow import Flow

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_PLAIN_OPTIONS = (
    "name",
    "version",
    "flow_run_name",
    "retries",
    "retry_delay_seconds",
    "description",
    "timeout_seconds",
    "validate_parameters",
    "persist_result",
    "cache_result_in_memory",
    "log_prints",
)


@dataclass(frozen=True, slots=True)
class FlowSource:
    """The function of a flow in its file."""

    path: Path
    text: str
    node: FunctionNode

    @property
    def is_async(self) -> bool:
        """Whether it is declared with `async def`."""
        return isinstance(self.node, ast.AsyncFunctionDef)

    def options(self, wanted: set[str] | None = None) -> dict[str, Any]:
        """Return the arguments of the decorator that can be evaluated, with the name and description they lead to."""
        names = wanted if wanted is not None else set(_PLAIN_OPTIONS)
        found: dict[str, Any] = {}
        namespace: dict[str, Any] | None = None
        for keyword in self._keywords():
            if keyword.arg is None or keyword.arg not in names:
                continue
            try:
                found[keyword.arg] = ast.literal_eval(keyword.value)
            except ValueError:
                if namespace is None:
                    namespace = safe_load_namespace(self.text, str(self.path))
                value = _evaluated(keyword.value, namespace)
                if value is not _UNKNOWN:
                    found[keyword.arg] = value
        if "name" in names and not found.get("name"):
            found["name"] = self.node.name.replace("_", "-")
        if "description" in names and not found.get("description"):
            found["description"] = ast.get_docstring(self.node)
        return found

    def _keywords(self) -> list[ast.keyword]:
        for decorator in self.node.decorator_list:
            if isinstance(decorator, ast.Call) and _called_name(decorator.func).endswith("flow"):
                return decorator.keywords
        return []

    def placeholder(self, raises: BaseException) -> Flow[..., Any]:
        """Return a flow of these options and parameters whose call raises."""

        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise raises

        async def refuse_async(*args: Any, **kwargs: Any) -> Any:
            raise raises

        fn = refuse_async if self.is_async else refuse
        fn.__name__ = fn.__qualname__ = self.node.name
        fn.__signature__ = self.signature()  # type: ignore[attr-defined]  # what `inspect.signature` reads first
        options = self.options()
        options.setdefault("version", file_hash(str(self.path)))
        options["validate_parameters"] = False  # annotations may name what cannot be imported
        return Flow(fn, **options)

    def signature(self) -> inspect.Signature:
        """Return the parameters by name, kind and default; a default that is no plain value is `...`."""
        arguments = self.node.args
        plain = [*arguments.posonlyargs, *arguments.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
        kinds = [inspect.Parameter.POSITIONAL_ONLY] * len(arguments.posonlyargs)
        kinds += [inspect.Parameter.POSITIONAL_OR_KEYWORD] * len(arguments.args)
        parameters = [_parameter(node, kind, default) for node, kind, default in zip(plain, kinds, defaults, strict=True)]
        if arguments.vararg:
            parameters.append(inspect.Parameter(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL))
        named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        parameters += [_parameter(node, inspect.Parameter.KEYWORD_ONLY, default) for node, default in named]
        if arguments.kwarg:
            parameters.append(inspect.Parameter(arguments.kwarg.arg, inspect.Parameter.VAR_KEYWORD))
        return inspect.Signature(parameters)


_UNKNOWN = object()


def _evaluated(node: ast.expr, namespace: dict[str, Any]) -> Any:
    try:
        return eval(compile(ast.Expression(node), "<flow decorator>", "eval"), namespace)  # noqa: S307  # the user's own source
    except Exception:  # noqa: BLE001  # it may need what could not be imported; then it is left out
        return _UNKNOWN


def _parameter(node: ast.arg, kind: Any, default: ast.expr | None) -> inspect.Parameter:
    if default is None:
        return inspect.Parameter(node.arg, kind)
    try:
        return inspect.Parameter(node.arg, kind, default=ast.literal_eval(default))
    except ValueError:
        return inspect.Parameter(node.arg, kind, default=...)


def _called_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def find_source(entrypoint: str) -> FlowSource | None:
    """Return the function that an entrypoint names in its file, or None when file or function cannot be found. Imports nothing of it."""
    location, colon, name = entrypoint.rpartition(":")
    if not colon:
        location, _, name = entrypoint.rpartition(".")
    path = Path(location) if location.endswith(".py") else _module_path(location)
    if path is None or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    try:
        node: ast.AST | None = ast.parse(text)
    except SyntaxError:
        return None
    for part in name.split("."):
        node = _child(node, part)
    return FlowSource(path, text, node) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _module_path(name: str) -> Path | None:
    try:
        spec = find_spec(name)  # imports the parent packages, if there are any
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def _child(node: ast.AST | None, name: str) -> ast.AST | None:
    body: list[ast.stmt] = getattr(node, "body", [])
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return next((statement for statement in reversed(body) if isinstance(statement, named) and statement.name == name), None)
