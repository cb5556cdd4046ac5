"""Cloning from real repositories: over the file system, and over HTTP with a password."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.git_server import git, make_repository, serving
from headrace.blocks.system import Secret
from headrace.deployments.steps import git_clone, run_step
from headrace.deployments.steps.pull import agit_clone

TOKEN = "t0p/secret+token"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin" / "project"
    make_repository(folder)
    return folder


@pytest.fixture
def address(origin: Path) -> str:
    return f"file://{origin}"


@pytest.fixture
def private(origin: Path) -> Iterator[str]:
    with serving(origin.parent, "x-access-token", TOKEN) as url:
        yield f"{url}/project/.git"


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have every call of git write down its arguments and its environment, as other users of the machine could list them."""
    log, tools = tmp_path / "seen.log", tmp_path / "tools"
    tools.mkdir()
    script = tools / "git"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{log}"\nenv >> "{log}"\nexec {shutil.which("git")} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    return log


def version(folder: str) -> str:
    return (Path(folder) / "flows.py").read_text().removeprefix("VERSION = ").strip()


def test_default_branch_is_cloned_into_a_folder_of_its_name(address: str, tmp_path: Path) -> None:
    assert git_clone(address) == {"directory": str(tmp_path / "project")}
    assert version("project") == "2"


def test_branch_is_part_of_the_folder_name(address: str, tmp_path: Path) -> None:
    assert git_clone(address, branch="feature/x") == {"directory": str(tmp_path / "project-feature-x")}
    assert version("project-feature-x") == "'x'"


def test_commit_is_checked_out(address: str, origin: Path) -> None:
    first = git(origin, "rev-parse", "main~1")
    assert version(git_clone(address, commit_sha=first, clone_directory_name="at-first")["directory"]) == "1"
    assert version(git_clone(address, commit_sha=git(origin, "rev-parse", "main"), clone_directory_name="at-first")["directory"]) == "2"


def test_only_the_wanted_folders_are_there(address: str) -> None:
    folder = Path(git_clone(address, directories=["one"])["directory"])
    assert sorted(path.name for path in folder.iterdir() if path.name != ".git") == ["flows.py", "one"]


def test_submodules_come_along(origin: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    outer = tmp_path / "outer"
    make_repository(outer)
    git(outer, "submodule", "--quiet", "add", address, "inner")
    git(outer, "commit", "--quiet", "-m", "inner")
    folder = Path(git_clone(f"file://{outer}", include_submodules=True, clone_directory_name="with")["directory"])
    assert version(str(folder / "inner")) == "2"
    assert not any((Path(git_clone(f"file://{outer}", clone_directory_name="without")["directory"]) / "inner").iterdir())


def test_second_clone_brings_the_first_up_to_date(address: str, origin: Path) -> None:
    folder = git_clone(address)["directory"]
    (Path(folder) / "flows.py").write_text("VERSION = 'changed here'\n")
    (origin / "flows.py").write_text("VERSION = 3\n")
    git(origin, "commit", "--quiet", "-am", "third")
    assert git_clone(address)["directory"] == folder
    assert version(folder) == "3"


def test_other_files_are_not_overwritten(address: str) -> None:
    Path("project").mkdir()
    Path("project/precious.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files.*clone_directory_name"):
        git_clone(address)
    assert [path.name for path in Path("project").iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"access_token": TOKEN},
        {"access_token": f"x-access-token:{TOKEN}"},
        {"credentials": {"token": TOKEN}},
        {"credentials": {"username": "x-access-token", "password": TOKEN}},
        {"credentials": Secret(value=TOKEN)},
    ],
)
def test_password_is_seen_by_nobody(private: str, seen: Path, arguments: dict[str, Any]) -> None:
    folder = Path(git_clone(private, clone_directory_name="here", **arguments)["directory"])
    assert version(str(folder)) == "2"
    assert "clone" in seen.read_text()
    for form in (TOKEN, "t0p%2Fsecret%2Btoken"):
        assert form not in seen.read_text()
        assert form not in (folder / ".git" / "config").read_text()


def test_password_in_the_address_is_taken_out_of_it(private: str, seen: Path) -> None:
    folder = Path(git_clone(private.replace("://", "://x-access-token:t0p%2Fsecret%2Btoken@"), clone_directory_name="here")["directory"])
    assert "t0p" not in seen.read_text() + (folder / ".git" / "config").read_text()


def test_wrong_password_is_told_without_it(private: str) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="git clone of http://127.0.0.1.*failed") as caught:
        git_clone(private, access_token="wrong-but-secret")
    assert "wrong-but-secret" not in f"{caught.value}{caught.value.cmd}{caught.value.stderr}"
    assert not Path("project").exists()


def test_login_goes_to_its_own_host_alone(private: str, origin: Path, tmp_path: Path) -> None:
    """A submodule of another host must not be given the password."""
    with serving(origin.parent, "x-access-token", TOKEN) as other:
        outer = tmp_path / "origin" / "outer"
        make_repository(outer)
        git(outer, "-c", f"http.{other}.extraHeader=Authorization: Basic eC1hY2Nlc3MtdG9rZW46dDBwL3NlY3JldCt0b2tlbg==",
            "submodule", "--quiet", "add", f"{other}/project/.git", "inner")  # fmt: skip
        git(outer, "commit", "--quiet", "-m", "inner")
        with pytest.raises(subprocess.CalledProcessError, match="git submodule"):
            git_clone(private.replace("project", "outer"), access_token=TOKEN, include_submodules=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"branch": "a", "commit_sha": "b"}, "branch or a commit SHA but not both"),
        ({"access_token": "a", "credentials": {"token": "b"}}, "access token or credentials but not both"),
        ({"access_token": "a"}, "http.s. addresses alone"),
        ({"branch": "--upload-pack=touch"}, "no name of a branch"),
        ({"credentials": {}}, "hold no token"),
    ],
)
def test_contradictions_are_refused(address: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        git_clone(address, **arguments)


@pytest.mark.parametrize("url", ["--upload-pack=touch pwned", "ext::sh -c true"])
def test_addresses_that_are_commands_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a repository"):
        git_clone(url)


def test_missing_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="nothing-here.*does not"):
        git_clone(f"file://{tmp_path}/elsewhere/nothing-here")


def test_async_twin_clones(address: str) -> None:
    assert version(asyncio.run(agit_clone(address))["directory"]) == "2"


def test_step_takes_its_token_from_a_block(private: str) -> None:
    Secret(value=TOKEN).save("git-token")
    step = {"prefect.deployments.steps.git_clone": {"repository": private, "access_token": "{{ prefect.blocks.secret.git-token }}"}}
    assert version(run_step(step)["directory"]) == "2"
