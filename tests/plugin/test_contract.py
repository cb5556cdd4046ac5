"""The contract finds what is wrong with a plugin and says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.plugin.listing import README_END, README_START, block_schemas, readme_table
from headrace.testing import PluginContract

PLUGIN = '''"""Offers."""
from headrace.plugin import Offer, hookimpl
{imports}
HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

@hookimpl
def headrace_blocks():
    """Offer blocks."""
    return [Offer("locker", "{package}.lockers:Locker", "A locker"{more})]
'''
LOCKERS = '''"""Lockers."""
from headrace.blocks.core import Block
from pydantic import SecretStr

class Locker(Block):
    """Keep things."""
    number: int
    password: SecretStr
{extra}
'''


class Contract(PluginContract):
    plugin = "dummy-lock"
    block_examples = {"locker": {"number": 3, "password": "hunter2"}}
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder


@pytest.fixture
def contract(site, tmp_path) -> Callable[..., Contract]:
    """Install a plugin that is as the contract wants it, but for what the arguments change."""

    def make(imports: str = "", more: str = "", extra: str = "", requires: str = "headrace>=0.1", init: str = '"""A dummy."""\n') -> Contract:
        site.install(
            "dummy-lock",
            PLUGIN.replace("{imports}", imports).replace("{more}", more),
            requires=(requires,) if requires else (),
            files={"lockers.py": LOCKERS.replace("{extra}", extra), "__init__.py": init, "py.typed": "", "blocks.py": '"""Nothing."""\n'},
        )
        made = Contract()
        made.folder = tmp_path / "source"
        (made.folder / "tests").mkdir(parents=True)
        (made.folder / "CHANGELOG.md").write_text("## 1.0\n")
        (made.folder / "README.md").write_text(f"{README_START}\n{readme_table(made.record)}\n{README_END}\n")
        (made.folder / "tests" / "block_schemas.json").write_text(json.dumps(block_schemas(dict(made.usable_blocks()))))
        return made

    return make


@pytest.fixture(autouse=True)
def child_path(site, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(site.folder))


def checks(contract: Contract) -> list[str]:
    return [name for name in dir(contract) if name.startswith("test_")]


def failures(contract: Contract) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in checks(contract):
        try:
            getattr(contract, name)()
        except Exception as error:  # as pytest does, whatever a test raises is its failure
            found[name] = str(error)
    return found


def test_a_plugin_in_order_passes(contract):
    made = contract()
    assert len(checks(made)) >= 15
    assert failures(made) == {}


@pytest.mark.parametrize(
    ("change", "check", "advice"),
    [
        ({"imports": "import pydantic"}, "test_light_module_imports_nothing_foreign", "imports .*pydantic"),
        ({"more": ", extra='gold'"}, "test_extras_exist", "gold"),
        ({"more": ", modules=('wave',)", "init": '"""A dummy."""\nimport wave'}, "test_package_imports_no_sdk", "wave"),
        ({"extra": "class Bare:\n    pass"}, "test_public_names_are_documented", r"dummy_lock\.lockers\.Bare"),
        ({"extra": "    api_token: str = ''"}, "test_secret_looking_fields_are_secret", "locker.api_token is .*SecretStr"),
        (
            {"extra": "    copied: str = ''\n    def block_initialization(self):\n        self.copied = self.password.get_secret_value()"},
            "test_secrets_are_never_rendered",
            "locker shows one of its secrets",
        ),
        (
            {"extra": "    def block_initialization(self):\n        self.number += 1"},
            "test_blocks_survive_saving_and_loading",
            "locker changes when it is saved and loaded",
        ),
        ({"extra": "    _block_type_slug = 'other'"}, "test_block_slugs_are_those_of_the_classes", "by its slug"),
        ({"requires": "headrace>=99"}, "test_requirements_have_honest_bounds", "does not allow it"),
        ({"requires": "headrace"}, "test_requirements_have_honest_bounds", "no lower bound"),
        ({"requires": ""}, "test_requirements_have_honest_bounds", "must require headrace"),
        ({"imports": "def wrong(:"}, "test_plugin_is_ready", "SyntaxError"),
    ],
)
def test_what_is_wrong_is_found(contract, change, check, advice):
    try:
        found = failures(contract(**change))
    except AssertionError as error:  # the plugin is so wrong that nothing can be made of it
        found = {check: str(error)}
    assert check in found
    assert re.search(advice, found[check], re.DOTALL)


@pytest.mark.parametrize(
    ("file", "check"),
    [
        ("README.md", "test_readme_lists_the_offers"),
        ("CHANGELOG.md", "test_changelog_names_the_version"),
        ("tests/block_schemas.json", "test_block_schemas_match_the_snapshot"),
    ],
)
def test_files_out_of_step_are_found(contract, file, check):
    made = contract()
    (made.folder / file).write_text("{}")
    assert list(failures(made)) == [check]
