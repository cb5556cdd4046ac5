"""`headrace plugins new` writes a package whose own tests pass as they are, the contract included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.cli.plugins import group
from headrace.plugin.offers import Kind
from headrace.plugin.scaffold import KINDS, create


def install(folder: Path, site: Path) -> None:
    """Leave the metadata that an editable install leaves; the sources stay where they are."""
    import tomllib

    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    requires = "".join(f"Requires-Dist: {requirement}\n" for requirement in project["dependencies"])
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{requires}")
    entries = "".join(f"{name} = {value}\n" for name, value in project["entry-points"]["headrace.plugins"].items())
    (info / "entry_points.txt").write_text(f"[headrace.plugins]\n{entries}")


@pytest.mark.parametrize("kinds", [(), KINDS], ids=["default", "all"])
def test_the_tests_of_a_new_package_pass_untouched(tmp_path, kinds):
    arguments = [text for kind in kinds for text in ("--kind", kind.value)]
    result = CliRunner().invoke(group, ["new", "my-cloud", *arguments, "--directory", str(tmp_path)])
    assert result.exit_code == 0, result.output + result.stderr
    folder = tmp_path / "headrace-my-cloud"
    install(folder, tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(tmp_path / "site")])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_what_it_writes_is_formatted_and_free_of_lint(tmp_path):
    folder = create("my-cloud", tmp_path, KINDS)
    for command in (["format", "--check"], ["check", "--select", "E,F,I,UP,B"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "120", str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_name_is_the_same_in_any_spelling(tmp_path):
    assert create("headrace-my_cloud", tmp_path, [Kind.STEP]).name == "headrace-my-cloud"
    assert (tmp_path / "headrace-my-cloud" / "src" / "headrace_my_cloud" / "plugin.py").is_file()
