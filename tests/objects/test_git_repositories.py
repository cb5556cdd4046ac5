"""Blocks for git repositories, against git's own server."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.git_server import git, make_repository, serving
from headrace.blocks.core import Block
from headrace.blocks.git import GitRepositoryBlock, Repository, Wanted, repository_at, url_with_login
from headrace.deployments.steps import git_clone
from headrace.exceptions import InvalidRepositoryURLError

PASSWORD = "pa:ss/w@rd%21"


class HostCredentials(Block):
    """How to log in."""

    token: SecretStr

    def format_git_credentials(self, url: str) -> str:
        """Return the address with the token in it."""
        return url_with_login(url, "robot", self.token.get_secret_value())


class HostRepository(GitRepositoryBlock):
    """A repository of some host."""

    repository: str
    reference: str | None = None
    git_depth: int | None = 1
    credentials: HostCredentials | None = None

    def remote(self) -> Repository:
        return repository_at(self.repository, credentials=self.credentials)

    def wanted(self) -> Wanted:
        return Wanted(branch=self.reference, depth=self.git_depth)


@pytest.fixture
def private(tmp_path: Path) -> Iterator[str]:
    make_repository(tmp_path / "served" / "project")
    with serving(tmp_path / "served", "robot", PASSWORD) as address:
        yield f"{address}/project"


def block(address: str, password: str = PASSWORD, **more: Any) -> HostRepository:
    return HostRepository(repository=address, credentials=HostCredentials(token=SecretStr(password)), **more)


def test_files_come_with_their_repository(private: str, tmp_path: Path) -> None:
    block(private).get_directory(local_path=str(tmp_path / "to"))
    assert (tmp_path / "to" / "flows.py").read_text() == "VERSION = 2\n"
    assert git(tmp_path / "to", "rev-list", "--count", "HEAD") == "1"


def test_a_reference_and_its_history_are_brought(private: str, tmp_path: Path) -> None:
    block(private, reference="feature/x", git_depth=None).get_directory(local_path=str(tmp_path / "to"))
    assert (tmp_path / "to" / "flows.py").read_text() == "VERSION = 'x'\n"
    assert git(tmp_path / "to", "rev-list", "--count", "HEAD") == "3"


def test_one_folder_is_merged_into_what_is_there(private: str, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").write_text("mine")
    block(private).get_directory("one", str(tmp_path / "to"))
    assert sorted(file.name for file in (tmp_path / "to").iterdir()) == ["code.py", "mine"]


def test_a_second_time_replaces_what_may_not_be_written(private: str, tmp_path: Path) -> None:
    for _ in range(2):
        block(private).get_directory(local_path=str(tmp_path / "to"))
        for file in (tmp_path / "to" / ".git").rglob("*"):
            if file.is_file():
                file.chmod(stat.S_IRUSR)
    assert git(tmp_path / "to", "status", "--porcelain") == ""


def test_async_callers_wait(private: str, tmp_path: Path) -> None:
    asyncio.run(block(private).aget_directory(local_path=str(tmp_path / "to")))
    assert (tmp_path / "to" / "one" / "code.py").is_file()


@pytest.mark.parametrize("folder", ["three", "../..", "flows.py"])
def test_a_folder_that_is_none_is_refused(private: str, tmp_path: Path, folder: str) -> None:
    with pytest.raises(ValueError, match="has no folder"):
        block(private).get_directory(folder, str(tmp_path / "to"))


def test_an_error_shows_no_secret(private: str, tmp_path: Path) -> None:
    wrong = "wr:ong/s@cret"
    with pytest.raises(OSError, match="Failed to pull from remote") as caught:
        block(private, wrong).get_directory(local_path=str(tmp_path / "to"))
    assert not any(part in str(caught.value) for part in (wrong, "s@cret", "s%40cret"))
    assert not (tmp_path / "to").exists()


def test_the_secret_is_on_no_command_line_and_in_no_file(private: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/seen\nenv >> {tmp_path}/seen\nPATH={os.environ["PATH"]} exec git "$@"\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    block(private).get_directory(local_path=str(tmp_path / "to"))
    texts = [(tmp_path / "seen").read_text(), (tmp_path / "to" / ".git" / "config").read_text()]
    assert "clone" in texts[0]
    for form in (PASSWORD, "pa%3Ass", "w%40rd"):
        assert all(form not in text for text in texts)


def test_the_step_takes_the_same_credentials(private: str) -> None:
    found = git_clone(private, credentials=HostCredentials(token=SecretStr(PASSWORD)))
    assert (Path(found["directory"]) / "flows.py").is_file()


def test_a_private_repository_without_credentials_says_what_to_give(private: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="give credentials"):
        HostRepository(repository=private).get_directory(local_path=str(tmp_path / "to"))


def test_a_login_is_encoded_into_an_address_and_back() -> None:
    url = url_with_login("https://host:8443/a/b.git?x=1", "me@there", PASSWORD)
    assert url == "https://me%40there:pa%3Ass%2Fw%40rd%2521@host:8443/a/b.git?x=1"
    found = repository_at(url)
    assert found.url == "https://host:8443/a/b.git?x=1"
    assert found.login is not None and (found.login.username, found.login.password) == ("me@there", PASSWORD)
    with pytest.raises(InvalidRepositoryURLError, match="SSH key"):
        url_with_login("git@host:a/b.git", "me", "token")


def test_a_depth_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="depth of 0"):
        Wanted(depth=0)
