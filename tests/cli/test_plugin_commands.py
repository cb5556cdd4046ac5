"""Commands of plugins: listed without importing what they need, found by name, and never in the way of the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OFFERS = """
from headrace.plugin import Offer, hookimpl

@hookimpl
def headrace_commands():
    return [Offer("weather", "weather_plugin.commands:group", "Look at the weather", aliases=("wx",))]
"""
COMMANDS = '''
import click

@click.group()
def group():
    """Look at the weather."""

@group.command()
@click.argument("place")
def tomorrow(place):
    """Tell it."""
    click.echo(f"rain in {place}")
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    install(folder, "weather_plugin", OFFERS)
    (folder / "weather_plugin" / "commands.py").write_text(COMMANDS)
    return folder


def install(folder: Path, package: str, offers: str) -> None:
    """Put a distribution with a plugin into a folder, as an installer would."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("")
    (folder / package / "plugin.py").write_text(offers)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[headrace.plugins]\n{package} = {package}.plugin\n")


def headrace(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run([sys.executable, "-m", "headrace", *arguments], capture_output=True, text=True, env=environment)


def test_help_lists_them_without_importing_them(site: Path) -> None:
    (site / "weather_plugin" / "commands.py").write_text("raise SystemExit('imported')")
    done = headrace(site, "--help")
    assert done.returncode == 0, done.stderr
    assert "Look at the weather" in done.stdout.partition("Commands of plugins:")[2]


@pytest.mark.parametrize("name", ["weather", "wx"])
def test_they_run_by_name_and_alias(site: Path, name: str) -> None:
    done = headrace(site, name, "tomorrow", "Bergen")
    assert (done.returncode, done.stdout) == (0, "rain in Bergen\n")


def test_their_typos_are_suggested_too(site: Path) -> None:
    assert "Did you mean 'weather'" in headrace(site, "wether").stderr
    assert "Did you mean 'tomorrow'" in headrace(site, "weather", "tomorow").stderr


def test_one_that_is_no_command_is_told(site: Path) -> None:
    (site / "weather_plugin" / "commands.py").write_text("def group(): ...")
    done = headrace(site, "weather")
    assert done.returncode == 1
    assert "must be a click command" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_plugin_leaves_the_help_and_other_commands_whole(site: Path) -> None:
    install(site, "broken_plugin", "raise RuntimeError('at import')")
    done = headrace(site, "--help")
    assert done.returncode == 0, done.stderr
    assert "flow-run" in done.stdout
    assert "weather" in done.stdout
    assert headrace(site, "variable", "ls").returncode == 0


def test_a_built_in_command_is_not_replaced(site: Path) -> None:
    install(site, "greedy_plugin", OFFERS.replace('"weather"', '"version"').replace("weather_plugin", "greedy_plugin"))
    assert headrace(site, "version").stdout.startswith("Version:")
