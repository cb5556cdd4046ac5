"""The page on bases for plugins: its examples pass their contracts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace import testing
from headrace.blocks import credentials, databases, git, object_stores
from headrace.workers import remote

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "core" / "docs" / "plugin-bases.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))

SDK = '''"""A service in memory, in the place of Acme's SDK."""

JOBS = {}


class Missing(Exception):
    pass


class Throttled(Exception):
    pass


def create(client_token, size, **asked):
    if size == "huge":
        raise ValueError("there are no huge machines")
    id = f"{len(JOBS):04}"
    JOBS[id] = {"token": client_token, "state": "RUNNING", "exit_code": None, "reason": "", **asked}
    return id


def find(client_token):
    return next((id for id, job in JOBS.items() if job["token"] == client_token), None)


def describe(id):
    if id not in JOBS:
        raise Missing(id)
    return JOBS[id]


def stop(id, grace_seconds):
    if describe(id)["state"] == "ENDED":
        raise Missing(id)
    JOBS[id].update(state="ENDED", exit_code=143)


def logs(id, after):
    return [], None
'''
CONFTEST = """
import pytest

pytest_plugins = ["headrace.testing.fixtures"]


@pytest.fixture(autouse=True)
def home(temporary_home):
    return temporary_home
"""


def test_examples_of_the_page_pass(pytester: pytest.Pytester) -> None:
    for name, code in {**EXAMPLES, "acme_sdk.py": SDK, "conftest.py": CONFTEST}.items():
        (pytester.path / name).write_text(code, encoding="utf-8")
    outcomes = pytester.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()
    assert outcomes.keys() <= {"passed", "warning", "warnings"}
    assert outcomes["passed"] > 80


def test_the_page_names_every_contract_and_base() -> None:
    contracts = {name for name in testing.__all__ if name.startswith(("Object", "Database", "RemoteJob"))}
    bases = {"ObjectStoreBlock", "ObjectStoreDriver", "CursorDatabase", "GitRepositoryBlock", "RemoteJobWorker", "LabelRules"}
    offered = {*object_stores.__all__, *databases.__all__, *git.__all__, *remote.__all__, *credentials.__all__}
    assert bases <= offered
    assert [name for name in sorted(contracts | bases) if f"`{name}" not in PAGE] == []
