"""The files for operating headrace: they name commands and options that there are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from headrace.cli.root import root

FOLDER = Path(__file__).parents[2] / "core" / "docs" / "operations"
UNITS = sorted(FOLDER.glob("*.service"))


def assert_is_a_command(arguments: list[str]) -> None:
    """Parse a command line as the command would, without running it."""
    command: click.Command = root
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), arguments[0])
        assert found is not None, arguments
        command, arguments = found, arguments[1:]
    with command.make_context("headrace", list(arguments)):
        pass


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    [line] = [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]
    program, *arguments = shlex.split(line.removeprefix("ExecStart=").replace("%i", "name"))
    assert program.endswith("/bin/headrace")
    assert_is_a_command(arguments)


def test_the_compose_file_starts_commands_that_there_are() -> None:
    compose: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    services = compose["services"]
    for name in ("server", "worker"):
        assert_is_a_command(services[name]["command"])
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(compose["volumes"])
    build = services["server"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"


def test_the_image_starts_the_server() -> None:
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    [entry] = [yaml.safe_load(line.removeprefix("ENTRYPOINT ")) for line in lines if line.startswith("ENTRYPOINT ")]
    [command] = [yaml.safe_load(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    assert entry[-1] == "headrace"
    assert_is_a_command(command)
