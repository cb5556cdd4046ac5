"""Where settings are written down: environment, `.env`, `headrace.toml`, `pyproject.toml`. Reads, never decides.

Each source becomes a `Layer`: raw values by dotted path, with the name that the user wrote. `resolve` combines them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from headrace.settings.declaration import Catalogue, is_free, variable_of
from headrace.settings.environment import setting_variables
from headrace.settings.errors import BrokenFileError, InvalidSettingError


class SourceKind(StrEnum):
    """The sources, highest first. The text is what `headrace config view` shows."""

    ARGUMENTS = "arguments"
    ENVIRONMENT = "env"
    DOTENV = ".env file"
    TOML = "headrace.toml"
    PYPROJECT = "pyproject.toml"
    PROFILE = "profile"
    DEFAULTS = "defaults"


class Source(NamedTuple):
    """One place with settings; `where` is the file or the profile's name, if the kind has one."""

    kind: SourceKind
    where: str | None = None

    def __str__(self) -> str:
        if self.kind is SourceKind.PROFILE:
            return f"profile {self.where!r}"
        return self.where or {SourceKind.ENVIRONMENT: "the environment"}.get(self.kind, self.kind.value)


class Raw(NamedTuple):
    """A value as it was written: where, and under which name."""

    value: object
    source: Source
    name: str


class Layer:
    """What one source says: values by dotted path, free variables by name, and the names that no setting has."""

    __slots__ = ("free", "is_translated", "source", "unknown", "values")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.values: dict[str, Raw] = {}
        self.free: dict[str, Raw] = {}
        self.unknown: list[str] = []
        self.is_translated = False


def layer_of(source: Source, names: Mapping[str, object], catalogue: Catalogue) -> Layer:
    """Make a layer from variables. Within it a setting's own name wins over an older one, which wins over a still older."""
    layer = Layer(source)
    ranks: dict[str, int] = {}
    for name, value in names.items():
        declared = catalogue.by_variable.get(name)
        if declared is None:
            if is_free(name):
                layer.free[name] = Raw(value, source, name)
            else:
                layer.unknown.append(name)
            continue
        rank = 0 if name == declared.variable else 1 + declared.aliases.index(name)
        if rank < ranks.get(declared.path, 99):
            ranks[declared.path] = rank
            layer.values[declared.path] = Raw(value, source, name)
    return layer


def arguments_layer(arguments: Mapping[str, Any], catalogue: Catalogue, under: str = "") -> Layer:
    """Make a layer from keyword arguments, nested as the groups are. Raises `InvalidSettingError` for unknown names."""
    layer = nested_layer(Source(SourceKind.ARGUMENTS), arguments, catalogue, under)
    if layer.unknown:
        raise InvalidSettingError(unknown_names(layer, catalogue))
    return layer


def environment_layer(catalogue: Catalogue) -> Layer:
    """Make a layer from this process's environment. Empty values count as unset."""
    return layer_of(Source(SourceKind.ENVIRONMENT), setting_variables(), catalogue)


def file_layers(catalogue: Catalogue, folder: Path | None = None) -> list[Layer]:
    """Make the layers of the three files nearest to `folder` (the working directory), highest first."""
    searched = list(folders(folder))
    layers: list[Layer] = []
    dotenv = nearest(searched, ".env")
    if dotenv:
        names = {name: value for name, value in read_dotenv(dotenv) if value and name.startswith("HEADRACE_")}
        layers.append(layer_of(Source(SourceKind.DOTENV, str(dotenv)), names, catalogue))
    toml = nearest(searched, "headrace.toml")
    if toml:
        layers.append(nested_layer(Source(SourceKind.TOML, str(toml)), read_toml(toml), catalogue))
    for parent in searched:
        table = pyproject_table(parent / "pyproject.toml", "headrace")
        if table is not None:
            source = Source(SourceKind.PYPROJECT, str(parent / "pyproject.toml"))
            layers.append(nested_layer(source, table, catalogue))
            break
    return layers


def unknown_names(layer: Layer, catalogue: Catalogue) -> str:
    """Return one line that names the unknown settings of a layer and the known ones near to them."""
    parts: list[str] = []
    for name in layer.unknown:
        near = catalogue.near(name)
        parts.append(f"{name!r} is not a setting.{' ' + near if near else ''}")
    return f"In {layer.source}: {' '.join(parts)}"


def translations(layer: Layer, catalogue: Catalogue) -> list[str]:
    """Return a sentence for each name of a layer that belongs to Prefect, see `compat`."""
    if not layer.is_translated:
        return []
    pairs = [(raw, catalogue.by_path[path].variable) for path, raw in layer.values.items()]
    return [f"{raw.name} (from {raw.source}) is read as {variable}." for raw, variable in pairs]


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file. Raises `BrokenFileError` with file and line."""
    text = read_text(path)
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise BrokenFileError(f"{path}:{line}: {reason}. Correct the file; no setting was read from it.") from None


def read_text(path: Path) -> str:
    """Read a file of settings. Raises `BrokenFileError` if it cannot be read as UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BrokenFileError(f"{path}:{line}: The file is not UTF-8 text. Save it as UTF-8.") from None
    except OSError as error:
        raise BrokenFileError(f"{path}: Cannot be read ({error.strerror}). Check its permissions.") from error


def folders(start: Path | None) -> Iterator[Path]:
    """Yield the folder and its parents up to the root of the repository; outside a repository the folder alone."""
    try:
        here = start or Path.cwd()
    except FileNotFoundError:  # the working directory was deleted
        return
    parents = [here, *here.parents]
    root = next((index for index, parent in enumerate(parents) if (parent / ".git").exists()), 0)
    yield from parents[: root + 1]


def nearest(searched: Iterable[Path], name: str) -> Path | None:
    """Return the first file of that name in some folders."""
    return next((folder / name for folder in searched if (folder / name).is_file()), None)


def pyproject_table(path: Path, tool: str) -> dict[str, Any] | None:
    """Return the table of a tool, or None. A project file without it is passed over, as in a workspace of packages."""
    if not path.is_file() or tool not in read_text(path):
        return None
    tools = read_toml(path).get("tool", {})
    table = tools.get(tool) if isinstance(tools, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as the file has it
    return table if isinstance(table, dict) else None  # pyright: ignore[reportUnknownVariableType]  # as the file has it


def nested_layer(source: Source, table: Mapping[str, Any], catalogue: Catalogue, under: str = "") -> Layer:
    """Make a layer from nested tables; a table that is a setting's own value (headers) is not entered."""
    names: dict[str, object] = {}
    spelled: dict[str, str] = {}

    def visit(current: Mapping[str, Any], prefix: str) -> None:
        for key, value in current.items():
            path = f"{prefix}.{key}" if prefix else key
            variable = variable_of(path)
            spelled[variable] = path
            nested = value.model_dump(exclude_unset=True) if hasattr(value, "model_dump") else value
            if isinstance(nested, Mapping) and variable not in catalogue.by_variable:
                visit(nested, path)  # pyright: ignore[reportUnknownArgumentType]  # keys are text in TOML and keywords
            else:
                names[variable] = nested

    visit(table, under)
    layer = layer_of(source, names, catalogue)
    layer.values = {path: Raw(raw.value, source, spelled[raw.name]) for path, raw in layer.values.items()}
    layer.unknown = [spelled[name] for name in layer.unknown]
    return layer


_DOTENV_LINE = r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
        (?:'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>[^\n]*?))[ \t]*(?:(?<=\s)\#.*|(?<=['"])\#.*)?$"""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def read_dotenv(path: Path) -> Iterator[tuple[str, str]]:
    """Yield names and values: `export` and comments are allowed, quotes as in a shell, the last of a name wins."""
    for line in re.finditer(_DOTENV_LINE, read_text(path), re.MULTILINE | re.VERBOSE):
        if line["single"] is not None:
            value = line["single"]
        elif line["double"] is not None:
            value = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), line["double"], flags=re.DOTALL)
        else:
            value = (line["bare"] or "").strip()
        yield line["name"], value
