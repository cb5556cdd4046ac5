"""Reading YAML so that every value is known with the line it stands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from headrace.model.errors import HeadraceException

FILE_NAMES = ("headrace.yaml", "prefect.yaml")
"""The names under which a project file is looked for, in this order."""

NODES_MAX = 100_000
"""Values that a file may hold once its aliases are written out."""

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and where: a file and line, or an option."""

    where: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.path, self.message) if part)


class ProjectInvalid(HeadraceException):
    """A project cannot be deployed as it is written. `problems` says each thing that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass
class Source:
    """A document with the lines of its values, by path. `options` are those of the command line that stand for a value, by its path."""

    name: str
    data: Any = None
    lines: dict[Path_, int] = field(default_factory=dict[Path_, int])
    options: dict[Path_, str] = field(default_factory=dict[Path_, str])

    def where(self, path: Path_) -> str:
        """Return file and line of the value at `path`, or of the nearest one around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.options:
                return self.options[path[:end]]
            if path[:end] in self.lines:
                return f"{self.name}:{self.lines[path[:end]]}"
        return self.name

    def problem(self, path: Path_, message: str) -> Problem:
        """Say what is wrong with the value at `path`."""
        return Problem(self.where(path), written(path), message)


def written(path: Path_) -> str:
    """Return a path as people write it: `deployments[0].schedules[1].cron`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def find_file(folder: Path) -> Path | None:
    """Return the project file in `folder`, or None."""
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def read_source(file: Path, shown_as: str | None = None) -> Source:
    """Read a project file. Raises `ProjectInvalid` when it is missing or no YAML, gives a key twice, or holds itself."""
    source = Source(shown_as or file.name)
    try:
        text = file.read_text(encoding="utf-8")
        node = cast("Any", yaml).compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProjectInvalid([Problem(str(file), "", f"The project file cannot be read: {reason}.")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"{source.name}:{mark.line + 1}" if mark is not None else source.name
        raise ProjectInvalid([Problem(line, "", f"This is no YAML: {error.problem or error}.")]) from error
    except yaml.YAMLError as error:
        raise ProjectInvalid([Problem(source.name, "", f"This is no YAML: {error}.")]) from error
    builder = _Builder(source, yaml.SafeLoader(""))
    source.data = {} if node is None else builder.build(node, ())
    if builder.problems:
        raise ProjectInvalid(builder.problems)
    return source


class _Builder:
    """Turns YAML's nodes into values, and notes their lines."""

    def __init__(self, source: Source, loader: yaml.SafeLoader) -> None:
        self._source = source
        self._loader: Any = loader
        self._open: set[int] = set()
        self._count = 0
        self.problems: list[Problem] = []

    def build(self, node: Any, path: Path_) -> Any:
        self._source.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if self._count > NODES_MAX:
            raise ProjectInvalid([self._source.problem(path, f"The file holds more than {NODES_MAX} values once its aliases are written out.")])
        if id(node) in self._open:
            raise ProjectInvalid([self._source.problem(path, "The anchor holds itself.")])
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(cast("list[Any]", node.value))]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        seen: dict[str, int] = {}
        for key, _ in cast("list[tuple[Any, Any]]", node.value):
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                message = f"The key {key.value!r} is given twice, first in line {seen[key.value]}. Keep one of them."
                self.problems.append(Problem(f"{self._source.name}:{key.start_mark.line + 1}", written(path), message))
            seen.setdefault(str(key.value), key.start_mark.line + 1)
        self._loader.flatten_mapping(node)  # puts in what `<<` merges, before the mapping's own keys
        result: dict[str, Any] = {}
        for key, value in cast("list[tuple[Any, Any]]", node.value):
            name = str(self._loader.construct_object(key))
            self._source.lines[*path, name] = key.start_mark.line + 1
            result[name] = self.build(value, (*path, name))
        return result

    def _scalar(self, node: Any, path: Path_) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self.problems.append(self._source.problem(path, f"The value cannot be read: {error}."))
            return None
        return value.isoformat() if hasattr(value, "isoformat") else value  # YAML's dates: what they are is said by the key
