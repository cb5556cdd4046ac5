"""The limits that the code sets itself: sizes, exceptions to its checks, who may import by name."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter

from architecture.tree import ROOMS, Module, core_modules, is_printed, product_modules

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 600
ROOM_LINES_MAX = 6_000
"""Of a room, or of each folder of a room that is divided by noun: see core/docs/decisions/sizes.md."""
CORE_LINES_MAX = 75_000

DIVIDED_ROOMS = {"cli", "deploy", "model", "objects", "operations"}

TYPE_IGNORES_MAX = 108
"""Exceptions to the type checker in core. May only fall."""

IMPORTS_BY_NAME = {
    "core/src/headrace/cli/root.py",  # a command's module, when it is called
    "core/src/headrace/__init__.py",  # the lazy root
    "core/src/headrace/server/routes.py",  # every noun of the endpoint table, for the routes
    "core/src/headrace/operations/table.py",  # a noun's operations, when they are first used
    "core/src/headrace/plugin/registry.py",  # what an offer points to
    "core/src/headrace/store/tables/__init__.py",  # every table, for a new database
}


def test_the_package_is_found() -> None:
    assert len(core_modules()) > 200
    assert {module.room for module in core_modules()} == {*ROOMS, None}


def test_functions_are_short() -> None:
    long = [f"{where}: {length}" for module in product_modules() for where, _, length in module.functions() if length > FUNCTION_LINES_MAX]
    assert long == []


def test_modules_are_short() -> None:
    by_hand = [module for module in product_modules() if not is_printed(module)]
    assert [f"{module.where}: {module.lines}" for module in by_hand if module.lines > MODULE_LINES_MAX] == []


def test_rooms_are_small() -> None:
    sizes: Counter[str] = Counter()
    for module in core_modules():
        if module.room:
            sizes[module.where.rpartition("/")[0] if module.room in DIVIDED_ROOMS else module.room] += module.lines
    assert {room: lines for room, lines in sizes.items() if lines > ROOM_LINES_MAX} == {}


def test_core_is_small() -> None:
    assert sum(module.lines for module in core_modules() if module.room != "testing") <= CORE_LINES_MAX


def test_modules_say_what_they_own() -> None:
    silent = [module.where for module in product_modules() if module.text.strip() and not ast.get_docstring(module.tree)]
    assert silent == []


def comments(module: Module, pattern: re.Pattern[str]) -> list[tuple[int, str]]:
    """Return the comments that match, with their lines. Only modules whose text matches at all are taken apart."""
    if not pattern.search(module.text):
        return []
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT and pattern.search(token.string)]


def test_type_ignores_carry_a_code_and_a_reason_and_are_few() -> None:
    ignore = re.compile(r"#\s*(?:type|pyright):\s*ignore")
    reasoned = re.compile(r"#\s*(?:type|pyright):\s*ignore\[[\w, -]+\]\s*#\s*\S.*")
    found = [(module.where, line, text) for module in core_modules() for line, text in comments(module, ignore)]
    assert [f"{where}:{line} {text}" for where, line, text in found if not reasoned.search(text)] == []
    assert len(found) <= TYPE_IGNORES_MAX


def test_no_check_is_switched_off_for_a_whole_file() -> None:
    switch = re.compile(r"#\s*(pyright:\s*(basic|strict|standard|report\w+\s*=)|ruff:\s*noqa|flake8:\s*noqa|type:\s*ignore\s*$)")
    found = [f"{module.where}:{line} {text}" for module in product_modules() for line, text in comments(module, switch)]
    assert found == []


def imports_by_name(module: Module) -> bool:
    """Say whether the module uses `importlib.import_module` or `__import__`; text for another interpreter does not count."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr == "import_module":
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "importlib" and any(alias.name == "import_module" for alias in node.names):
            return True
        if isinstance(node, ast.Name) and node.id == "__import__":
            return True
    return False


def test_few_files_import_by_name() -> None:
    assert {module.where for module in core_modules() if imports_by_name(module)} == IMPORTS_BY_NAME


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [f"{module.where}:{line} {text}" for module in product_modules() for line, text in comments(module, later)]
    assert found == []
