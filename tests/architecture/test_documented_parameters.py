"""Documented functions and methods take their parameters by the documented names, in the documented order."""

from __future__ import annotations

import inspect
from pathlib import Path
from pkgutil import resolve_name

import pytest

DOCUMENTED = Path(__file__).parent / "documented_parameters.txt"


def documented() -> dict[str, dict[str, list[str]]]:
    """Return the parameters by the name of the function, those of one top module together."""
    lines = [line for line in DOCUMENTED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    found: dict[str, dict[str, list[str]]] = {}
    for line in lines:
        name, _, parameters = line.partition(": ")
        found.setdefault(name.split(".")[1], {})[name] = parameters.split()
    return found


@pytest.mark.parametrize(("area", "functions"), documented().items())
def test_parameters_are_the_documented_ones(area: str, functions: dict[str, list[str]]) -> None:
    wrong: dict[str, list[str]] = {}
    for name, parameters in functions.items():
        taken = list(inspect.signature(resolve_name(name)).parameters)
        if [one for one in taken if one in parameters] != parameters:
            wrong[name] = taken
    assert wrong == {}, area
