"""Patterns in the syntax of gitignore (https://git-scm.com/docs/gitignore): which files of a directory are left out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file."""

    expression: re.Pattern[str]
    includes_again: bool
    directories_only: bool

    def matches(self, path: str, is_directory: bool) -> bool:
        """Say whether the pattern is about this path, relative to the file's directory with `/` between its parts."""
        return (is_directory or not self.directories_only) and self.expression.fullmatch(path) is not None


class IgnoreRules:
    """The lines of an ignore file together: the last one that matches a path decides."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns = [pattern for line in lines if (pattern := _parse(line)) is not None]

    def ignores(self, path: str, is_directory: bool = False) -> bool:
        """Say whether a path is left out. A path in a directory that is left out is not asked about."""
        verdict = False
        for pattern in self._patterns:
            if pattern.matches(path, is_directory):
                verdict = not pattern.includes_again
        return verdict

    def files_in(self, root: Path) -> Iterator[Path]:
        """Yield the files below `root` that are not left out, sorted, relative to it. Links to directories are not followed."""
        for folder, directories, names in os.walk(root):
            here = Path(folder).relative_to(root)
            directories[:] = sorted(name for name in directories if not self.ignores((here / name).as_posix(), is_directory=True))
            for name in sorted(names):
                path = here / name
                if not self.ignores(path.as_posix()):
                    yield path


def read_rules(file: str | Path | None) -> IgnoreRules:
    """Return the rules of an ignore file; without a file nothing is left out. Raises FileNotFoundError when it is missing."""
    return IgnoreRules(Path(file).read_text().splitlines() if file is not None else ())


def _parse(line: str) -> Pattern | None:
    line = line.rstrip("\r\n")
    stripped = line.rstrip(" ")
    if stripped.endswith("\\"):
        stripped = line[: len(stripped) + 1]
    if not stripped or stripped.startswith("#"):
        return None
    includes_again = stripped.startswith("!")
    if includes_again or stripped.startswith(("\\#", "\\!")):
        stripped = stripped[1:]
    directories_only = stripped.endswith("/")
    body = stripped.rstrip("/") if directories_only else stripped
    anchored = "/" in body
    body = body.removeprefix("/")
    if not body:
        return None
    expression = _translate(body)
    return Pattern(re.compile(expression if anchored else f"(?:.*/)?{expression}", re.DOTALL), includes_again, directories_only)


def _translate(body: str) -> str:
    """Return the regular expression of a pattern: `*` and `?` stay within a part of the path, `**` goes across."""
    out: list[str] = []
    position = 0
    while position < len(body):
        rest = body[position:]
        if rest.startswith("**/") and (position == 0 or body[position - 1] == "/"):
            out.append("(?:.*/)?")
            position += 3
        elif rest == "**" and body[position - 1 : position] == "/":
            out.append(".+")
            position += 2
        elif rest[0] == "*":
            out.append("[^/]*")
            position += 1
        elif rest[0] == "?":
            out.append("[^/]")
            position += 1
        elif rest[0] == "[" and (end := rest.find("]", 2)) != -1:
            inside = rest[1:end].replace("\\", "\\\\")
            out.append(f"[{'^' + inside[1:] if inside[0] == '!' else inside}]")
            position += end + 1
        else:
            if rest[0] == "\\" and len(rest) > 1:
                position += 1
            out.append(re.escape(body[position]))
            position += 1
    return "".join(out)
