"""What stands in the repository: its top level, change fragments, and files that speak of the project alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from architecture.tree import ROOT, tracked_files

TOP_LEVEL = {"README.md", "LICENSE", "pyproject.toml", "noxfile.py", "constraints.txt", "core", "plugins", "tests"}
FILE_SIZE_BYTES_MAX = 300_000

FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.$}])/(?:work|root|home/(?!user\b|me\b)\w+|Users/(?!me\b)\w+)/"),
    "the address of a package registry": re.compile(r"(?:--(?:extra-)?index-url|pypi\.org/simple|files\.pythonhosted\.org|registry\.npmjs\.org)"),
}
ALLOWED = {Path("tests/architecture/test_repository.py")}


def texts() -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for path in tracked_files():
        try:
            found.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_nothing_else_stands_at_the_top() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert {name for name in names if not name.startswith(".")} == TOP_LEVEL


@pytest.mark.parametrize("what", FORBIDDEN)
def test_files_speak_of_the_project_alone(what: str) -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts()
        if path not in ALLOWED
        for number, line in enumerate(text.splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


def test_no_lock_file_is_tracked() -> None:
    assert [path for path in tracked_files() if path.name in ("uv.lock", "poetry.lock", "Pipfile.lock")] == []


def test_constraints_are_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 20
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[\w.!+-]+(?: ; .+)?", line)] == []


def test_files_are_small() -> None:
    assert {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked_files() if path.stat().st_size > FILE_SIZE_BYTES_MAX} == {}


def test_change_fragments_say_something() -> None:
    fragments = [path for path in (ROOT / "core" / "changes").glob("*.md") if path.name != "README.md"]
    assert fragments
    assert [path.name for path in fragments if len(path.read_text(encoding="utf-8").split()) < 5] == []


def test_links_between_pages_lead_somewhere() -> None:
    link = re.compile(r"\[[^\]]+\]\((?!https?:|#|mailto:)([^)#\s]+)")
    broken = [
        f"{path}: {target}"
        for path, text in texts()
        if path.suffix == ".md"
        for target in link.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        if not (ROOT / path.parent / target).exists()
    ]
    assert broken == []


def test_every_page_is_listed() -> None:
    docs = ROOT / "core" / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    pages = [page.relative_to(docs).as_posix() for page in sorted(docs.rglob("*.md")) if page.name != "index.md"]
    assert [page for page in pages if f"({page})" not in index] == []
