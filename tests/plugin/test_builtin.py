"""What headrace itself offers, and the list of what its own plugins offer."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headrace.model.errors import PluginNotInstalled
from headrace.plugin import catalogue
from headrace.plugin.host import Host
from headrace.plugin.registry import Registry

REPOSITORY = Path(__file__).parents[2]
CATALOGUE = Path(catalogue.__file__).with_name("catalogue.json")
BUILTIN = [(kind, offer) for kind, offers in Registry(path=[]).records()[0].offers.items() for offer in offers]


@pytest.mark.parametrize(("kind", "offer"), BUILTIN, ids=[f"{kind}:{offer.name}" for kind, offer in BUILTIN])
def test_built_in_offers_resolve(kind, offer):
    assert Registry(path=[]).resolve(kind, offer.name) is not None


def test_built_in_offers_come_by_the_hooks_that_plugins_use():
    host = Host()
    hooks = host.add("builtin", "builtin", importlib.import_module("headrace.plugin.builtin"))
    assert set(hooks) <= set(host.known_hooks)
    assert {kind.hook for kind, _ in BUILTIN} == set(hooks)


def test_the_catalogue_is_in_step_with_the_plugins_of_this_repository(tmp_path):
    sources = []
    for file in REPOSITORY.glob("plugins/*/pyproject.toml"):
        project = tomllib.loads(file.read_text())["project"]
        info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
        entries = project["entry-points"]["headrace.plugins"].items()
        (info / "entry_points.txt").write_text("[headrace.plugins]\n" + "".join(f"{name} = {module}\n" for name, module in entries))
        sources.append(str(file.parent / "src"))
    path = os.pathsep.join((str(tmp_path), *sources))
    command = [sys.executable, "-m", "headrace.plugin.catalogue"]
    printed = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True).stdout
    if os.environ.get("UPDATE_CATALOGUE"):
        CATALOGUE.write_text(printed)
    assert json.loads(printed) == catalogue.read(), "write it anew: UPDATE_CATALOGUE=1"
    assert len({distribution for names in catalogue.read().values() for distribution in names.values()}) == len(sources)


def test_what_is_not_installed_is_named_with_its_distribution():
    with pytest.raises(PluginNotInstalled, match="headrace-shell does: `pip install headrace-shell`"):
        Registry(path=[]).find("block", "shell-operation")


def test_a_near_name_is_suggested_once():
    with pytest.raises(PluginNotInstalled, match="Did you mean 'shell-operation'") as refused:
        Registry().find("block", "shell-operatio")
    assert str(refused.value).count("'shell-operation'") == 1


def test_asking_for_a_built_in_brings_no_library_of_others():
    code = (
        "import sys; from headrace.plugin.registry import Registry; Registry(path=[]).find('block', 'secret');"
        "print([m for m in ('pluggy', 'packaging', 'importlib_metadata', 'pydantic', 'asyncio') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_fifty_plugins_cost_a_second_process_no_import_at_all(site, tmp_path):
    for number in range(50):
        site.install(f"dummy-{number:02}")
    site.registry(cache=tmp_path).offers("block")
    site.forget()
    before = set(sys.modules)
    registry = site.registry(cache=tmp_path)
    assert registry.find("block", "dummy-07-thing")
    assert len(registry.records()) == 51
    assert set(sys.modules) == before


def test_collections_are_imported_and_failures_kept(site, python):
    site.install("dummy-good", group="headrace.collections", entry="dummy_good.blocks")
    site.install("dummy-bad", group="headrace.collections", files={"__init__.py": "raise SystemExit(3)"})
    done = python(
        """
        from headrace.plugins import load_headrace_collections
        print({name: repr(value)[:48] for name, value in sorted(load_headrace_collections().items())})
        """
    )
    assert "'dummy-bad': \"RuntimeError('Loading it raised SystemExit: " in done.stdout
    assert "'dummy-good': \"<module 'dummy_good.blocks'" in done.stdout
    assert "The collection dummy-bad could not be loaded" in done.stderr
