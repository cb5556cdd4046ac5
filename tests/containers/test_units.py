"""The units of core/docs/operations, as systemd's own checker reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "core/docs/operations").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "This test needs systemd's checker of units: apt-get install systemd."
    program = tmp_path / "headrace"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name.replace("@.", "@name.")
    copy.write_text(unit.read_text().replace("/opt/headrace/bin/headrace", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if unit.name.partition(".")[0].rstrip("@") in line] == []
