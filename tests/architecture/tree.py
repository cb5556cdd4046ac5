"""The repository as the architecture tests see it: tracked files, Python modules, their syntax trees."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "core" / "src" / "headrace"
_LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][0]["layers"]
ROOMS = tuple(room for layer in _LAYERS for room in layer.split(" | "))
"""The layers, from the top, as the import contracts name them; rooms that stand beside each other share one."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file of the package or of a plugin."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def where(self) -> str:
        """The path from the repository's root, as messages give it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str | None:
        """The room that the file stands in; None for the front desk and for plugins."""
        parts = self.path.relative_to(PACKAGE).parts if self.path.is_relative_to(PACKAGE) else ()
        return parts[0] if len(parts) > 1 and parts[0] in ROOMS else None

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def imported(self) -> list[str]:
        """Return every module that an import statement in the file names, however deep it stands."""
        found: list[str] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.append(node.module)
        return found

    def functions(self) -> Iterator[tuple[str, Function, int]]:
        """Yield where each function stands, the function and its length in lines."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield f"{self.where}:{node.lineno} {node.name}", node, (node.end_lineno or node.lineno) - node.lineno + 1


def modules_below(folder: Path) -> list[Module]:
    """Return the Python files below `folder`, in a fixed order."""
    return [Module(path) for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts]


@cache
def core_modules() -> list[Module]:
    """Return every module of the package `headrace`."""
    return modules_below(PACKAGE)


def is_printed(module: Module) -> bool:
    """Say whether a module is printed from other sources, as the scripts of the database's schema are: it may be long."""
    return module.path.is_relative_to(PACKAGE / "store" / "migrations" / "versions")


@cache
def plugin_modules() -> dict[str, list[Module]]:
    """Return the modules of each plugin's package, by the package's name."""
    packages = sorted(file.parent for file in ROOT.glob("plugins/*/src/*/plugin.py"))
    return {package.name: modules_below(package) for package in packages}


@cache
def product_modules() -> list[Module]:
    """Return what is shipped: core and plugins."""
    return core_modules() + [module for modules in plugin_modules().values() for module in modules]


@cache
def tracked_files() -> list[Path]:
    """Return the files of the repository: those that git tracks, or would track."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]
