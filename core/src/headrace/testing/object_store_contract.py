"""The tests that every bucket block passes: all of `FilesystemContract`, and uploads, downloads, copies and what goes wrong."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import pytest

from headrace.objects.stores.block import ObjectStoreBlock
from headrace.objects.stores.drivers import ObjectNotFound, TransferError
from headrace.testing.filesystem_contract import FilesystemContract

BIG = 9 * 1024 * 1024 + 7


class ObjectStoreContract(FilesystemContract):
    """What a bucket block owes those who keep objects there.

    A subclass named `Test…` overrides the fixture `store`, which returns an `ObjectStoreBlock` whose folder is `base` in a bucket that holds
    nothing. `key_that_leads_out` is a key below that folder with a part `..`; None where the store refuses such keys.
    """

    key_that_leads_out: ClassVar[str | None] = "base/trap/../../outside.txt"

    @pytest.fixture
    def store(self) -> ObjectStoreBlock:
        """Return the block to test: the folder `base` of an empty bucket."""
        raise TypeError(f"{type(self).__name__} must override the fixture `store`.")

    @pytest.fixture
    def files(self, store: ObjectStoreBlock) -> Any:
        """Return the same block as a file system."""
        return store

    @pytest.fixture
    def big(self, tmp_path: Path) -> Path:
        """Return a file that is sent and fetched in parts."""
        file = tmp_path / "big.bin"
        file.write_bytes(os.urandom(BIG))
        return file

    # --- paths

    def test_paths_are_relative_to_the_folder_and_nothing_else(self, store: ObjectStoreBlock) -> None:
        assert store.write_path("x", b"1") == "base/x"
        assert store.write_path("base/x", b"2") == "base/base/x"
        assert store.write_path("/x", b"3") == "x"
        assert [store.read_path(path) for path in ("x", "base/x", "/x", "/base/x")] == [b"1", b"2", b"3", b"1"]
        assert store.list_paths("/") == ["/x", "base/x", "x"]

    def test_keys_have_single_slashes(self, store: ObjectStoreBlock) -> None:
        assert store.write_path("a//./b/", b"1") == "base/a/b"

    def test_marks_of_folders_are_no_objects(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        store.driver.write("base/marked/", io.BytesIO(b""), 0, lambda size: None)
        store.write_path("marked/file", b"1")
        assert store.list_paths() == ["marked/file"]
        assert [file.name for file in store.get_directory(None, str(tmp_path / "back"))] == ["file"]

    def test_what_is_asked_for_may_be_one_object(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        store.write_path("reports/day.txt", b"1")
        assert store.get_directory("reports/day.txt", str(tmp_path)) == [tmp_path.resolve() / "day.txt"]

    def test_a_missing_folder_is_not_found(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        with pytest.raises(ObjectNotFound, match="nowhere"):
            store.get_directory("nowhere", str(tmp_path))
        assert store.get_directory(None, str(tmp_path)) == []

    def test_no_key_leads_out_of_the_directory(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        store.write_path("trap/good.txt", b"good")
        key = self.key_that_leads_out
        if key is not None:
            store.driver.write(key, io.BytesIO(b"bad"), 3, lambda size: None)
            with pytest.raises(TransferError, match="outside"):
                store.get_directory("trap", str(tmp_path / "back" / "deep"))
        else:
            store.get_directory("trap", str(tmp_path / "back" / "deep"))
        assert [file.name for file in (tmp_path / "back").rglob("*") if file.is_file()] == ["good.txt"]

    # --- downloads

    def test_an_object_becomes_a_file(self, store: ObjectStoreBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        store.write_path("folder/file.txt", b"1")
        assert store.download_object_to_path("folder/file.txt") == tmp_path / "file.txt"
        assert store.download_object_to_path("folder/file.txt", "new/other.txt") == tmp_path / "new" / "other.txt"
        assert (tmp_path / "new" / "other.txt").read_bytes() == b"1"

    def test_an_object_is_written_to_an_open_file(self, store: ObjectStoreBlock) -> None:
        store.write_path("file", b"content")
        buffer = io.BytesIO()
        assert store.download_object_to_file_object("file", buffer) is buffer
        assert buffer.getvalue() == b"content"

    def test_a_missing_object_leaves_no_file(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        with pytest.raises(ObjectNotFound, match="missing") as caught:
            store.download_object_to_path("missing", tmp_path / "new" / "file")
        assert caught.value.__cause__ is not None
        with pytest.raises(ObjectNotFound, match="missing"):
            store.download_object_to_file_object("missing", io.BytesIO())
        assert list((tmp_path / "new").rglob("*")) == []

    def test_a_folder_becomes_a_directory(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        store.write_path("folder/a", b"1")
        store.write_path("folder/b/c", b"2")
        assert store.download_folder_to_path("folder", tmp_path / "to") == (tmp_path / "to").resolve()
        assert (tmp_path / "to" / "b" / "c").read_bytes() == b"2"

    # --- uploads

    def test_a_file_becomes_an_object(self, store: ObjectStoreBlock, folder: Path) -> None:
        assert store.upload_from_path(folder / "a.txt") == "base/a.txt"
        assert store.upload_from_path(folder / "a.txt", "to/other.txt") == "base/to/other.txt"
        assert store.read_path("to/other.txt") == b"A"
        with pytest.raises(FileNotFoundError):
            store.upload_from_path(folder / "missing")

    def test_a_stream_becomes_an_object(self, store: ObjectStoreBlock) -> None:
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as out:
            out.write(b"from a pipe")
        with os.fdopen(reading, "rb") as pipe:  # cannot seek
            assert store.upload_from_file_object(pipe, "piped") == "base/piped"
        assert store.read_path("piped") == b"from a pipe"
        assert store.upload_from_file_object(io.BytesIO(b"from memory"), "buffered") == "base/buffered"
        assert store.read_path("buffered") == b"from memory"

    def test_a_directory_becomes_a_folder(self, store: ObjectStoreBlock, folder: Path, tmp_path: Path) -> None:
        assert store.upload_from_folder(folder, "to") == "base/to"
        assert store.put_directory(str(folder), "again") == 4
        assert "to/sub/deep/c.log" in store.list_paths()
        (tmp_path / "nothing").mkdir()
        assert store.upload_from_folder(tmp_path / "nothing", "to") is None

    def test_big_objects_come_back_as_they_were(self, store: ObjectStoreBlock, big: Path, tmp_path: Path) -> None:
        store.upload_from_path(big, "big")
        assert store.download_object_to_path("big", tmp_path / "back").read_bytes() == big.read_bytes()
        buffer = io.BytesIO()
        store.download_object_to_file_object("big", buffer)
        assert buffer.getvalue() == big.read_bytes()

    def test_big_streams_of_unknown_size_are_stored(self, store: ObjectStoreBlock, big: Path) -> None:
        content = big.read_bytes()

        class Pipe(io.RawIOBase):
            position = 0

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any, /) -> int:
                piece = content[self.position : self.position + min(len(buffer), 70_001)]
                buffer[: len(piece)] = piece
                self.position += len(piece)
                return len(piece)

        store.upload_from_file_object(cast("BinaryIO", io.BufferedReader(Pipe())), "streamed")
        assert store.read_path("streamed") == content

    def test_many_objects_are_moved(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        source = tmp_path / "many"
        source.mkdir()
        for number in range(50):
            (source / f"{number}.txt").write_text(str(number))
        assert store.put_directory(str(source), "many") == 50
        assert len(store.get_directory("many", str(tmp_path / "back"))) == 50
        assert (tmp_path / "back" / "49.txt").read_text() == "49"

    def test_each_object_that_fails_is_named_and_the_others_are_there(self, store: ObjectStoreBlock, tmp_path: Path) -> None:
        for number in range(5):
            store.write_path(f"some/{number}", b"1")
        for number in (1, 3):
            (tmp_path / "back" / str(number)).mkdir(parents=True)  # in the way of a file
        with pytest.raises(TransferError) as caught:
            store.get_directory("some", str(tmp_path / "back"))
        assert set(caught.value.failures) == {"base/some/1", "base/some/3"}
        assert all(key in str(caught.value) for key in caught.value.failures)
        assert sorted(file.name for file in (tmp_path / "back").iterdir() if file.is_file()) == ["0", "2", "4"]

    # --- within the store

    def test_objects_are_copied_and_moved(self, store: ObjectStoreBlock) -> None:
        store.write_path("first", b"1")
        assert store.copy_object("first", "second") == "base/second"
        assert store.move_object("first", "sub/third") == "base/sub/third"
        assert store.list_paths() == ["second", "sub/third"]
        assert store.read_path("sub/third") == b"1"
        with pytest.raises(ObjectNotFound, match="first"):
            store.copy_object("first", "fourth")

    def test_an_object_that_is_moved_onto_itself_stays(self, store: ObjectStoreBlock) -> None:
        store.write_path("same", b"1")
        assert store.move_object("same", "same") == "base/same"
        assert store.read_path("same") == b"1"

    def test_objects_stream_from_one_bucket_to_another(self, store: ObjectStoreBlock, big: Path) -> None:
        store.upload_from_path(big, "from/big")
        assert store.stream_from(store, "from/big", "to/big") == "base/to/big"
        assert store.read_path("to/big") == big.read_bytes()

    # --- the block

    def test_async_callers_wait_for_objects(self, store: ObjectStoreBlock, folder: Path, tmp_path: Path) -> None:
        async def work() -> None:
            assert await store.aupload_from_path(folder / "a.txt", "one") == "base/one"
            assert await store.aupload_from_folder(folder, "all") == "base/all"
            assert await store.aupload_from_file_object(io.BytesIO(b"2"), "two") == "base/two"
            assert (await store.adownload_object_to_path("one", tmp_path / "one")).read_text() == "A"
            assert (await store.adownload_folder_to_path("all", tmp_path / "all") / "sub" / "b.txt").read_text() == "B"
            assert (await store.adownload_object_to_file_object("two", io.BytesIO())).tell() == 1
            assert await store.amove_object("one", "moved") == "base/moved"

        asyncio.run(work())
        assert not store.exists("one")

    def test_a_block_survives_pickling_and_closing(self, store: ObjectStoreBlock) -> None:
        store.write_path("file", b"1")
        again = pickle.loads(pickle.dumps(store))
        assert again == store
        assert again.read_path("file") == b"1"
        store.close()
        assert store.read_path("file") == b"1"
        again.close()

    @pytest.fixture(autouse=True)
    def closed(self, store: ObjectStoreBlock) -> Iterator[None]:
        """Let go of the store's connections after the test."""
        yield
        store.close()
