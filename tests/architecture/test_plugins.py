"""What plugins may reach: the front desk, `headrace.plugin` and `headrace.testing`; never another plugin."""

from __future__ import annotations

import tomllib

import pytest

from architecture.tree import ROOMS, ROOT, plugin_modules

CLOSED_ROOMS = set(ROOMS) - {"plugin", "testing"}
OPEN_DOORS = ("headrace.client.orchestration", "headrace.client.schemas", "headrace.settings")
"""Documented paths inside rooms, which are part of the front desk."""

PLUGINS = sorted(plugin_modules())


def may_import(name: str) -> bool:
    parts = name.split(".")
    if parts[0] != "headrace" or len(parts) == 1 or parts[1] not in CLOSED_ROOMS:
        return True
    return any(name == door or name.startswith(f"{door}.") for door in OPEN_DOORS)


def test_there_is_a_plugin() -> None:
    assert "headrace_shell" in PLUGINS


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugin_reaches_only_open_doors(plugin: str) -> None:
    found = [f"{module.where}: {name}" for module in plugin_modules()[plugin] for name in module.imported() if not may_import(name)]
    assert found == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_are_independent(plugin: str) -> None:
    others = set(PLUGINS) - {plugin}
    found = [f"{module.where}: {name}" for module in plugin_modules()[plugin] for name in module.imported() if name.split(".")[0] in others]
    assert found == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugin_has_the_common_shape(plugin: str) -> None:
    folder = ROOT / "plugins" / plugin.replace("_", "-")
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "tests"):
        assert (folder / name).exists(), f"{folder.name} has no {name}"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == folder.name
    assert any(word.startswith("headrace>=") for word in project["dependencies"])
    assert list(project["entry-points"]["headrace.plugins"].values()) == [f"{plugin}.plugin"]


def test_core_has_an_extra_for_each_plugin() -> None:
    project = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {tuple(packages) for name, packages in project["optional-dependencies"].items() if name != "server"}
    assert extras == {(name.replace("_", "-"),) for name in PLUGINS}
