"""File system blocks: the same promises for every kind, then what is special to each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from headrace.blocks.core import Block
from headrace.blocks.redis import RedisStorageContainer
from headrace.filesystems import SMB, LocalFileSystem, NullFileSystem, ReadableFileSystem, RemoteFileSystem, WritableFileSystem
from headrace.model.errors import MissingExtra
from headrace.objects.ignore import IgnoreRules

Run = Callable[[Callable[[], Any]], Any]


@pytest.fixture(params=["blocking", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Call something that returns a value, or in an event loop an awaitable of one, and return the value."""
    if request.param == "blocking":
        return lambda act: act()

    def in_loop(act: Callable[[], Any]) -> Any:
        async def main() -> Any:
            return await act()

        return asyncio.run(main())

    return in_loop


@pytest.fixture(params=["local", "remote"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "local":
        return LocalFileSystem(basepath=tmp_path / "base")
    return RemoteFileSystem(basepath=f"memory://{tmp_path.name}/folder/")


def test_a_file_is_written_read_listed_and_deleted(files: Any, run: Run) -> None:
    assert run(lambda: files.exists("a/b.txt")) is False
    assert run(lambda: files.list_paths()) == []
    whole = run(lambda: files.write_path("a/b.txt", b"\x00one"))
    assert str(whole).endswith("a/b.txt")
    run(lambda: files.write_path("a/b.txt", b"two"))
    run(lambda: files.write_path("c.txt", b""))
    assert run(lambda: files.read_path("a/b.txt")) == b"two"
    assert run(lambda: files.read_path(whole)) == b"two"
    assert run(lambda: files.exists("a/b.txt")) is True
    assert run(lambda: files.exists("a")) is False
    assert run(lambda: files.list_paths()) == ["a/b.txt", "c.txt"]
    assert run(lambda: files.list_paths("a")) == ["a/b.txt"]
    run(lambda: files.delete_path("a/b.txt"))
    run(lambda: files.delete_path("a/b.txt"))
    assert run(lambda: files.list_paths()) == ["c.txt"]


@pytest.mark.parametrize("path", ["missing", "a/missing", "a"])
def test_what_is_no_file_cannot_be_read(files: Any, path: str) -> None:
    files.write_path("a/b.txt", b"")
    with pytest.raises(ValueError, match="missing|a") as raised:
        files.read_path(path)
    assert isinstance(raised.value, FileNotFoundError)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "../folder-beside/x"])
def test_no_path_leads_out_of_the_base(files: Any, path: str, tmp_path: Path) -> None:
    for act in (lambda: files.write_path(path, b""), lambda: files.read_path(path), lambda: files.delete_path(path), lambda: files.exists(path)):
        with pytest.raises(ValueError, match="leads out of the file system's base"):
            act()
    assert not (tmp_path / "x").exists()


def test_a_directory_goes_there_and_back(files: Any, run: Run, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("keep.txt", "sub/deep.txt", "skip.log", "build/made.txt"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    ignore = tmp_path / ".ignore"
    ignore.write_text("# made things\n*.log\nbuild/\n")
    count = run(lambda: files.put_directory(str(source), "project", ignore_file=str(ignore)))
    assert count in (None, 2)
    assert run(lambda: files.list_paths()) == ["project/keep.txt", "project/sub/deep.txt"]
    target = tmp_path / "target"
    run(lambda: files.get_directory("project", str(target)))
    assert sorted(str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()) == ["keep.txt", "sub/deep.txt"]
    assert (target / "sub/deep.txt").read_text() == "sub/deep.txt"


def test_directories_default_to_the_base_and_the_working_directory(files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    files.write_path("x/y.txt", b"1")
    files.get_directory()
    assert (tmp_path / "here/x/y.txt").read_bytes() == b"1"
    (tmp_path / "here/z.txt").write_bytes(b"2")
    files.put_directory()
    assert files.list_paths() == ["x/y.txt", "z.txt"]


def test_a_prefix_is_a_directory_not_a_beginning(files: Any, tmp_path: Path) -> None:
    files.write_path("foo/x", b"")
    files.write_path("foobar/y", b"")
    assert files.list_paths("foo") == ["foo/x"]
    files.get_directory("foo", str(tmp_path / "out"))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["x"]


def test_saved_file_systems_come_back(files: Any) -> None:
    files.write_path("a", b"1")
    files.save("mine")
    assert Block.load(f"{files.get_block_type_slug()}/mine").read_path("a") == b"1"
    assert {"read-path", "write-path", "get-directory", "put-directory"} == files.get_block_capabilities()


# --- local ------------------------------------------------------------------------------------------------------------


def test_a_local_write_leaves_no_draft_and_never_a_part(tmp_path: Path) -> None:
    files = LocalFileSystem(basepath=str(tmp_path / "base"))
    contents = [bytes([number]) * 500_000 for number in range(8)]
    files.write_path("x", contents[0])
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(files.read_path("x"))

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents:
        files.write_path("x", content)
    done.set()
    reader.join()
    assert seen <= set(contents)
    assert files.list_paths() == ["x"]


def test_a_local_path_through_a_link_does_not_lead_out(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "secret").write_text("hush")
    (base / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="leads out"):
        LocalFileSystem(basepath=base).read_path("link/secret")


def test_a_local_copy_into_its_own_source_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1")
    files = LocalFileSystem(basepath=str(tmp_path))
    files.put_directory(str(tmp_path), "copy")
    files.put_directory(str(tmp_path), "copy")
    assert files.list_paths("copy") == ["copy/a.txt"]
    files.get_directory(None, str(tmp_path / "out"))
    assert not (tmp_path / "out/out").exists()


# --- remote -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("basepath", "message"),
    [("bucket/x", "must start with a scheme"), ("file:///x", "Use `LocalFileSystem`"), ("local://x", "Use `LocalFileSystem`")],
)
def test_a_remote_base_needs_a_foreign_scheme(basepath: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RemoteFileSystem(basepath=basepath)


def test_a_remote_path_of_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="another scheme"):
        RemoteFileSystem(basepath="memory://base").read_path("s3://base/x")


def test_remote_uploads_can_leave_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")
    files = RemoteFileSystem(basepath="memory://only-new")
    files.write_path("a", b"old")
    assert files.put_directory(str(tmp_path), overwrite=False) == 0
    assert files.read_path("a") == b"old"
    assert files.put_directory(str(tmp_path)) == 1
    assert files.read_path("a") == b"new"


def test_smb_addresses_its_share_and_hides_its_password() -> None:
    share = SMB(share_path="/SHARE/dir", smb_host="files.example.com", smb_port=1445, smb_username="me", smb_password="hush")
    assert share.basepath == "smb://files.example.com:1445/SHARE/dir"
    assert share.filesystem.settings == {"host": "files.example.com", "port": 1445, "username": "me", "password": "hush"}
    assert "hush" not in repr(share)
    assert "hush" not in repr(share.filesystem)


def test_the_null_file_system_forgets(run: Run) -> None:
    files = NullFileSystem()
    run(lambda: files.write_path("a", b"1"))
    assert run(lambda: files.read_path("a")) is None


def test_redis_needs_an_address_and_its_package(run: Run) -> None:
    with pytest.raises(ValueError, match="needs `host` or `connection_string`"):
        RedisStorageContainer()
    block = RedisStorageContainer.from_host("localhost", password="hush")
    assert "hush" not in repr(block)
    try:
        import redis  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MissingExtra, match="pip install redis"):
            run(lambda: block.read_path("a"))


# --- subclasses -------------------------------------------------------------------------------------------------------------


def test_a_subclass_writes_its_methods_blocking_or_async() -> None:
    class Blocking(WritableFileSystem):
        kept: dict[str, bytes] = {}

        def read_path(self, path: str) -> bytes:
            return self.kept[path]

        def write_path(self, path: str, content: bytes) -> None:
            self.kept[path] = content

    class Async(ReadableFileSystem):
        async def read_path(self, path: str) -> bytes:
            return path.encode()

    async def main() -> None:
        files = Blocking()
        await files.awrite_path("a", b"1")
        assert await files.aread_path("a") == b"1"
        assert await Async().aread_path("a") == b"a"

    asyncio.run(main())


def test_an_interface_cannot_be_used_itself() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ReadableFileSystem()


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        (["*.pyc"], "a/b.pyc", True),
        (["*.pyc"], "a/b.py", False),
        (["/top"], "top", True),
        (["/top"], "a/top", False),
        (["a/b"], "a/b", True),
        (["a/b"], "x/a/b", False),
        (["**/logs/*.txt"], "x/logs/1.txt", True),
        (["a/**/z"], "a/z", True),
        (["a/**/z"], "a/b/c/z", True),
        (["a/**"], "a/b/c", True),
        (["a/**"], "a", False),
        (["a?c"], "abc", True),
        (["a?c"], "a/c", False),
        (["[ab].txt"], "b.txt", True),
        (["[!ab].txt"], "b.txt", False),
        (["*", "!keep"], "keep", False),
        (["# comment", "", "   "], "# comment", False),
        ([r"\#real"], "#real", True),
        (["folder/"], "folder", False),
        (["*.log", "!important.log"], "x/important.log", False),
        (["a*b"], "a/b", False),
    ],
)
def test_ignore_patterns_are_those_of_gitignore(lines: list[str], path: str, ignored: bool) -> None:
    assert IgnoreRules(lines).ignores(path) is ignored
