"""The front desk: documented paths that re-export names, and nothing else."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import headrace
from architecture.tree import PACKAGE, ROOT, Module, core_modules, modules_below

ROOMS_WITH_DOORS = ("client/orchestration", "client/schemas", "settings/models")
"""Documented paths that lie in a room: they re-export as the front desk does."""

SURFACE = Path(__file__).parent / "import_surface.txt"
DOCUMENTED = Path(__file__).parent / "documented_names.txt"
DOCUMENTED_METHODS = Path(__file__).parent / "documented_methods.txt"


def front_desk() -> list[Module]:
    return [module for module in core_modules() if module.room is None and module.path != PACKAGE / "__init__.py"]


def is_name_table(node: ast.stmt) -> bool:
    """Say whether a statement assigns a display of constants: `__all__`, or the table of a lazy `__getattr__`."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    value = node.value
    return value is not None and not any(isinstance(part, ast.Call | ast.Lambda | ast.IfExp | ast.BinOp) for part in ast.walk(value))


def is_lazy_door(node: ast.stmt) -> bool:
    """Say whether a statement is a module's `__getattr__` or `__dir__`."""
    return isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__") and len(ast.unparse(node).splitlines()) <= 12


def is_type_checking_block(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and ast.unparse(node.test) == "TYPE_CHECKING"
        and all(isinstance(one, ast.Import | ast.ImportFrom) for one in node.body)
    )


def logic(module: Module) -> list[str]:
    """Return the statements of a module that do more than hand on names."""
    found: list[str] = []
    for index, node in enumerate(module.tree.body):
        if index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom) or is_name_table(node) or is_lazy_door(node) or is_type_checking_block(node):
            continue
        found.append(f"{module.where}:{node.lineno} {ast.unparse(node).splitlines()[0]}")
    return found


def test_front_desk_holds_no_logic() -> None:
    doors = front_desk() + [module for folder in ROOMS_WITH_DOORS for module in modules_below(PACKAGE / folder)]
    assert len(doors) > 30
    assert [line for module in doors if module.path.name != "__main__.py" for line in logic(module)] == []


def test_front_desk_is_listed_beside_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    names = {module.path.relative_to(PACKAGE).parts[0].removesuffix(".py") for module in front_desk()}
    assert set(contract["exhaustive_ignores"]) == names


def names_in(file: Path) -> dict[str, list[str]]:
    """Return the names that a file lists by module, a line each: `module: name name`."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {module: names.split() for module, _, names in (line.partition(":") for line in lines)}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in names_in(SURFACE).items() for name in names])
def test_documented_name_is_importable(module: str, name: str) -> None:
    found = importlib.import_module(module)
    if not hasattr(found, name):
        importlib.import_module(f"{module}.{name}")
    assert getattr(found, name) is not None


@pytest.mark.parametrize(("module", "names"), names_in(DOCUMENTED).items())
def test_module_offers_what_its_page_documents(module: str, names: list[str]) -> None:
    found = importlib.import_module(module)
    assert [name for name in names if not hasattr(found, name)] == []


@pytest.mark.parametrize(("place", "names"), names_in(DOCUMENTED_METHODS).items())
def test_class_has_the_methods_that_its_page_documents(place: str, names: list[str]) -> None:
    module, class_name = place.split()
    found = getattr(importlib.import_module(module), class_name)
    assert [name for name in names if not hasattr(found, name)] == []


def stub_names() -> dict[str, str]:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names), "a stub re-exports with `import x as x`"
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_root_stub_says_what_the_lazy_tables_say() -> None:
    assert stub_names() == {**dict.fromkeys(headrace._MODULES, "headrace"), **headrace._NAMES}


def test_documented_modules_are_found_after_import_of_the_root_alone() -> None:
    documented = {name.split(".")[1] for name in [*names_in(SURFACE), *names_in(DOCUMENTED)] if "." in name}
    rooms = {"cli", "server", "_experimental"}
    assert documented - rooms <= headrace._MODULES
    probe = f"import headrace; [getattr(headrace, name) for name in {sorted(headrace._MODULES)}]; print(headrace.runtime.flow_run.id)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


def test_every_root_name_loads() -> None:
    missing = [name for name in headrace.__all__ if not hasattr(headrace, name)]
    assert missing == []
    assert set(headrace.__all__) <= set(dir(headrace))


def test_unknown_root_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'flwo'"):
        _ = headrace.flwo
