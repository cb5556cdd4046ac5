"""The tree of declarations, its reference page, and that nothing is paid for before it is used."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import headrace.settings
from headrace.settings.base import HeadraceBaseSettings, group, setting
from headrace.settings.declaration import Declaration, walk
from headrace.settings.environment import internal_variable, runtime_override, runtime_overrides
from headrace.settings.models.root import Settings, canonical_environment_prefix
from headrace.settings.reference import page
from headrace.settings.values import parse

DECLARED = list(walk(Settings))
PAGE = Path(__file__).parents[2] / "core" / "docs" / "settings.md"


def test_the_reference_page_is_in_step() -> None:
    assert PAGE.read_text() == page(), "Run `python -m headrace.settings.reference > docs/settings.md` in core."


def test_every_name_stands_for_one_setting() -> None:
    names = [name for declared in DECLARED for name in (declared.variable, *declared.aliases)]
    assert len(names) == len(set(names))
    assert len(DECLARED) > 200


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.path)
def test_a_declaration_says_all_that_is_needed(declared: Declaration) -> None:
    assert declared.help.endswith(".")
    assert (declared.compute is None) == (declared.shown is None)
    if declared.default is not None:
        assert parse(declared, declared.default) == declared.default
    sounds_secret = re.search(r"(^|_)(key|password|auth_string|connection_url)$", declared.name)
    assert declared.is_secret == bool(sounds_secret)


@pytest.mark.parametrize("path", ["api", "root", "tasks", "server.database", "server.services", "server.root"])
def test_documented_modules_hold_their_groups(path: str) -> None:
    module = import_module(f"headrace.settings.models.{path}")
    assert all(hasattr(module, name) for name in module.__all__)


def test_prefixes_of_groups() -> None:
    settings = Settings()
    assert canonical_environment_prefix(settings) == "HEADRACE_"
    assert canonical_environment_prefix(settings.server.api) == "HEADRACE_SERVER_API_"


def test_all_public_names_are_there() -> None:
    assert [name for name in headrace.settings.__all__ if not hasattr(headrace.settings, name)] == []


class LakeSettings(HeadraceBaseSettings, path="integrations.lake"):
    """What a plugin declares."""

    depth: int = setting(3, "Metres.")


class WaterSettings(HeadraceBaseSettings, path="integrations"):
    """Nothing but a group."""

    lake: LakeSettings = group(LakeSettings)


def test_a_plugin_declares_settings_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    assert LakeSettings().depth == 3
    (tmp_path / "headrace.toml").write_text("[integrations.lake]\ndepth = 4\n")
    assert LakeSettings().depth == 4
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_LAKE_DEPTH", "5")
    assert LakeSettings().depth == 5
    assert LakeSettings(depth=6).depth == 6
    assert WaterSettings().lake.depth == 5
    assert Settings().to_environment_variables(exclude_unset=True)["HEADRACE_INTEGRATIONS_LAKE_DEPTH"] == "5"
    assert not recwarn.list


def test_internal_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE__FLOW_RUN_ID", "42")
    monkeypatch.setenv("HEADRACE__RUNTIME__FLOW_RUN__NAME", "m")
    assert internal_variable("FLOW_RUN_ID") == "42"
    assert internal_variable("WORKER_ID") is None
    assert runtime_override("flow_run", "name") == "m"
    assert runtime_override("task_run", "name") is None
    assert runtime_overrides("flow_run") == {"name": "m"}


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout


def test_importing_and_a_plain_first_read_need_no_pydantic() -> None:
    out = run(
        "import sys; from headrace.settings import get_current_settings, temporary_settings, HEADRACE_API_URL\n"
        "settings = get_current_settings()\n"
        "settings.home, settings.api.url, settings.flows.default_retries, settings.logging.to_api.enabled\n"
        "print([name for name in ('pydantic', 'pydantic_settings', 'asyncio', 'tomlkit') if name in sys.modules])"
    )
    assert out.strip() == "[]"


def test_importing_loads_no_declarations() -> None:
    out = run("import sys, headrace.settings; print(*sorted(n for n in sys.modules if n.startswith('headrace.')))")
    assert out.split() == ["headrace.settings", "headrace.settings.context", "headrace.settings.in_force"]
