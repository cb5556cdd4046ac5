"""The tests that every file system block passes, core's and plugins'. Inherit `FilesystemContract` and give the `files` fixture."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest


class FilesystemContract:
    """What a file system block owes those who keep files there.

    A subclass named `Test…` overrides the fixture `files`, which returns a block whose base holds nothing. The tests call
    `read_path`, `write_path`, `exists`, `delete_path`, `list_paths`, `get_directory` and `put_directory`, and their async twins.
    """

    @pytest.fixture
    def files(self) -> Any:
        """Return the block to test, with nothing in it."""
        raise TypeError(f"{type(self).__name__} must override the fixture `files`.")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return a folder with files to put somewhere."""
        folder = tmp_path / "local"
        for path, text in {"a.txt": "A", "sub/b.txt": "B", "sub/deep/c.log": "C", "empty": ""}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    # --- files

    def test_what_is_written_is_read(self, files: Any) -> None:
        files.write_path("folder/file.bin", b"\x00\xff data")
        assert files.read_path("folder/file.bin") == b"\x00\xff data"

    def test_a_file_may_be_empty(self, files: Any) -> None:
        files.write_path("nothing", b"")
        assert files.read_path("nothing") == b""
        assert files.exists("nothing")

    def test_writing_replaces(self, files: Any) -> None:
        files.write_path("file", b"a long first content")
        files.write_path("file", b"second")
        assert files.read_path("file") == b"second"

    def test_a_missing_file_is_a_file_not_found(self, files: Any) -> None:
        with pytest.raises(FileNotFoundError, match="missing.txt"):
            files.read_path("missing.txt")
        assert not files.exists("missing.txt")

    def test_deleting_twice_is_no_error(self, files: Any) -> None:
        files.write_path("file", b"1")
        files.delete_path("file")
        files.delete_path("file")
        assert not files.exists("file")

    @pytest.mark.parametrize("path", ["../outside", "a/../../outside"])
    def test_no_path_leads_out(self, files: Any, path: str) -> None:
        with pytest.raises(ValueError, match="out"):
            files.write_path(path, b"1")
        with pytest.raises(ValueError, match="out"):
            files.read_path(path)

    @pytest.mark.parametrize("path", ["", ".", "/."])
    def test_a_path_names_a_file(self, files: Any, path: str) -> None:
        with pytest.raises(ValueError, match="path"):
            files.write_path(path, b"1")
        assert files.list_paths() == []

    @pytest.mark.parametrize("name", ["with space.txt", "ümläut-日本.txt", "a+b=c&d.txt", "100%.txt", "#hash?.txt", "'quoted'.txt"])
    def test_names_may_have_any_characters(self, files: Any, name: str) -> None:
        files.write_path(f"odd/{name}", b"1")
        assert files.read_path(f"odd/{name}") == b"1"
        assert files.list_paths("odd") == [f"odd/{name}"]

    def test_paths_are_listed_relative_to_the_base(self, files: Any) -> None:
        for path in ("b/2", "a", "b/1", "bc/3"):
            files.write_path(path, b"1")
        assert files.list_paths() == ["a", "b/1", "b/2", "bc/3"]
        assert files.list_paths("b") == ["b/1", "b/2"]
        assert files.list_paths("nowhere") == []

    def test_async_callers_wait(self, files: Any) -> None:
        async def work() -> list[bytes]:
            await asyncio.gather(*(files.awrite_path(f"file-{n}", str(n).encode()) for n in range(5)))
            assert await files.aexists("file-3")
            assert len(await files.alist_paths()) == 5
            await files.adelete_path("file-3")
            assert not await files.aexists("file-3")
            return [await files.aread_path("file-0"), await files.read_path("file-1")]  # the blocking name is awaited where a loop runs

        assert asyncio.run(work()) == [b"0", b"1"]

    # --- directories

    def test_a_directory_goes_there_and_back(self, files: Any, folder: Path, tmp_path: Path) -> None:
        files.put_directory(str(folder), "kept")
        assert files.list_paths() == ["kept/a.txt", "kept/empty", "kept/sub/b.txt", "kept/sub/deep/c.log"]
        files.get_directory("kept", str(tmp_path / "back"))
        assert _texts(tmp_path / "back") == _texts(folder)

    def test_the_base_and_the_working_directory_are_the_defaults(
        self, files: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        files.put_directory()
        assert "sub/b.txt" in files.list_paths()
        (tmp_path / "back").mkdir()
        monkeypatch.chdir(tmp_path / "back")
        files.get_directory()
        assert _texts(tmp_path / "back") == _texts(folder)

    def test_a_folder_is_no_prefix(self, files: Any, tmp_path: Path) -> None:
        files.write_path("foo/in", b"1")
        files.write_path("foobar/out", b"2")
        files.get_directory("foo", str(tmp_path / "back"))
        assert _texts(tmp_path / "back") == {"in": "1"}

    def test_what_is_there_is_merged(self, files: Any, tmp_path: Path) -> None:
        back = tmp_path / "back"
        back.mkdir()
        (back / "mine").write_text("mine")
        (back / "new").write_text("old")
        files.write_path("folder/new", b"new")
        files.get_directory("folder", str(back))
        assert _texts(back) == {"mine": "mine", "new": "new"}

    def test_ignored_files_are_left_out(self, files: Any, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "rules").write_text("*.log\n/a.txt\n")
        files.put_directory(str(folder), None, str(tmp_path / "rules"))
        assert files.list_paths() == ["empty", "sub/b.txt"]

    def test_a_missing_ignore_file_is_an_error(self, files: Any, folder: Path) -> None:
        with pytest.raises(FileNotFoundError):
            files.put_directory(str(folder), None, "no-such-rules")
        assert files.list_paths() == []

    def test_async_callers_wait_for_directories(self, files: Any, folder: Path, tmp_path: Path) -> None:
        async def work() -> None:
            await files.aput_directory(str(folder), "kept")
            await files.aget_directory("kept", str(tmp_path / "back"))

        asyncio.run(work())
        assert _texts(tmp_path / "back") == _texts(folder)


def _texts(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): file.read_text() for file in sorted(folder.rglob("*")) if file.is_file()}
