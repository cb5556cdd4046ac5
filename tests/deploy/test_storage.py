"""Where the code of flows is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent

import pytest

from deploy.git_server import git, serving
from headrace import flow
from headrace.blocks.system import Secret
from headrace.exceptions import BlockNotSavedError
from headrace.filesystems import LocalFileSystem
from headrace.runner.storage import BlockStorageAdapter, GitRepository, LocalStorage, RemoteStorage, create_storage_from_source

CODE = """
    from headrace import flow

    @flow
    def doubled(n: int) -> int:
        return 2 * n
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "served" / "code"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "flows.py").write_text(dedent(CODE))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def test_flow_is_read_from_a_repository_and_remembers_it(repository: Path) -> None:
    storage = GitRepository(f"file://{repository}")
    found = flow.from_source(storage, "flows.py:doubled")
    assert found(4) == 8
    made = found.with_options(name="other").to_deployment("x")
    assert (made.entrypoint, made.storage) == ("flows.py:doubled", storage)


def test_flow_is_read_from_a_folder(repository: Path) -> None:
    found = flow.from_source(str(repository), "flows.py:doubled")
    assert found(1) == 2
    assert found.to_deployment("x").storage.to_pull_step() == {"headrace.deployments.steps.set_working_directory": {"directory": str(repository)}}


def test_async_callers_await_the_source(repository: Path) -> None:
    async def read() -> int:
        return (await flow.from_source(str(repository), "flows.py:doubled"))(3)

    assert asyncio.run(read()) == 6


def test_source_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="Unsupported source type 'int'"):
        flow.from_source(3, "flows.py:doubled")


def test_pulling_again_brings_what_is_new(repository: Path, tmp_path: Path) -> None:
    storage = GitRepository(f"file://{repository}")
    storage.set_base_path(tmp_path)
    asyncio.run(storage.pull_code())
    (repository / "more.py").write_text("")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "more")
    asyncio.run(storage.pull_code())
    assert (storage.destination / "more.py").exists()
    assert asyncio.run(storage.is_shallow_clone())
    assert not asyncio.run(storage.is_sparsely_checked_out())


def test_commit_is_checked_out(repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "later")
    storage = GitRepository(f"file://{repository}", commit_sha=commit)
    storage.set_base_path(tmp_path)
    asyncio.run(storage.pull_code())
    assert asyncio.run(storage.is_current_commit())


def test_secret_is_used_and_never_shown(repository: Path, tmp_path: Path) -> None:
    with serving(repository.parent, "me", "hush-hush") as url:
        credentials = {"username": "me", "access_token": "hush-hush"}
        storage = GitRepository(f"{url}/code/.git", credentials=credentials, name="code")
        storage.set_base_path(tmp_path / "base")
        asyncio.run(storage.pull_code())
        assert (storage.destination / "flows.py").exists()
        assert "hush-hush" not in repr(storage)
        wrong = GitRepository(f"{url}/none/.git", credentials=credentials, name="none")
        wrong.set_base_path(tmp_path / "base")
        with pytest.raises(RuntimeError, match="Failed to pull") as raised:
            asyncio.run(wrong.pull_code())
        assert "hush-hush" not in f"{raised.value} {raised.value.__cause__!r}"
        assert all("hush-hush" not in file.read_text(errors="replace") for file in storage.destination.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"credentials": {"username": "me"}}, "access token must also be provided"),
        ({"branch": "main", "commit_sha": "abcdef12"}, "either a branch or a commit"),
        ({"branch": "--upload-pack=x"}, "no name of a branch"),
        ({"commit_sha": "HEAD"}, "no commit"),
    ],
)
def test_wrong_repository_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        GitRepository("https://example.com/a/b.git", **options)  # pyright: ignore[reportArgumentType]  # the wrong ones are what is tested


def test_secret_in_no_block_is_never_stored_with_a_deployment() -> None:
    told = GitRepository("https://example.com/a/b.git", credentials={"access_token": "hush-hush"})
    with pytest.raises(BlockNotSavedError) as raised:
        told.to_pull_step()
    assert "hush-hush" not in str(raised.value)
    with pytest.raises(BlockNotSavedError):
        GitRepository("https://me:hush-hush@example.com/a/b.git").to_pull_step()
    with pytest.raises(BlockNotSavedError):
        RemoteStorage("s3://bucket/code", key=Secret(value="hush-hush")).to_pull_step()


def test_secret_in_a_block_is_named_in_the_pull_step() -> None:
    Secret(value="hush-hush").save("token")
    storage = GitRepository("https://example.com/a/b.git", branch="main", credentials={"access_token": Secret.load("token")})
    assert storage.to_pull_step() == {
        "headrace.deployments.steps.git_clone": {
            "repository": "https://example.com/a/b.git",
            "branch": "main",
            "access_token": "{{ headrace.blocks.secret.token }}",
        }
    }


def test_remote_storage_copies_a_folder(repository: Path, tmp_path: Path) -> None:
    storage = RemoteStorage(f"file://{repository}")
    storage.set_base_path(tmp_path / "base")
    asyncio.run(storage.pull_code())
    assert (storage.destination / "flows.py").exists()


def test_block_is_a_storage(repository: Path, tmp_path: Path) -> None:
    block = LocalFileSystem(basepath=str(repository))
    storage = BlockStorageAdapter(block)
    storage.set_base_path(tmp_path / "base")
    asyncio.run(storage.pull_code())
    assert (storage.destination / "flows.py").exists()
    with pytest.raises(BlockNotSavedError):
        storage.to_pull_step()


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("https://example.com/a/b.git", GitRepository),
        ("git@example.com:a/b.git", GitRepository),
        ("git://example.com/a/b", GitRepository),
        ("file:///somewhere", LocalStorage),
        ("somewhere", LocalStorage),
        ("s3://bucket/folder", RemoteStorage),
    ],
)
def test_address_says_what_kind_of_storage_it_is(source: str, kind: type) -> None:
    assert isinstance(create_storage_from_source(source), kind)


def test_unknown_address_is_refused() -> None:
    with pytest.raises(ValueError, match="No storage is known"):
        create_storage_from_source("s4://bucket/folder")
