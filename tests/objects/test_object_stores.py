"""Buckets, held to their contract by a store behind HTTP, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest
from pydantic import SecretStr

from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreBlock, ObjectStoreError, Progress, TransferError
from headrace.model import clock
from headrace.testing import ObjectStoreContract
from headrace.testing.clock import ControlledClock
from headrace.testing.fixtures import add_headrace_loggers_to_caplog
from objects.pail_service import Pail, PailDriver, PailService, pail_service

MIB = 1024 * 1024


@pytest.fixture
def service() -> Iterator[PailService]:
    with pail_service() as running:
        yield running


@pytest.fixture
def pail(service: PailService) -> Pail:
    return Pail(host=service.url, pail_folder="base")


class TestContract(ObjectStoreContract):
    @pytest.fixture
    def store(self, pail: Pail) -> ObjectStoreBlock:
        return pail


def local(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}.txt").write_text(str(number))
    return folder


# --- many at once


def test_eight_objects_move_at_once_and_no_more(service: PailService, pail: Pail, tmp_path: Path) -> None:
    source = local(tmp_path / "many", 30)
    service.gate = threading.Event()
    sending = threading.Thread(target=pail.put_directory, args=(str(source),))
    sending.start()
    while service.at_once < 8:
        threading.Event().wait(0.01)
    service.gate.set()
    sending.join(30)
    assert service.most_at_once == 8
    assert len(pail.list_paths()) == 30


def test_a_store_that_cannot_be_used_ends_the_transfer_at_once(service: PailService, tmp_path: Path) -> None:
    source = local(tmp_path / "many", 200)
    with pytest.raises(ObjectStoreError, match="credentials do not open pail://pail"):
        Pail(host=service.url, token=SecretStr("wrong")).put_directory(str(source))
    assert len(service.requests) < 50
    with pytest.raises(ObjectStoreError, match="no pail 'leaky'"):
        Pail(host=service.url, pail_name="leaky").read_path("x")


def test_each_file_that_fails_is_named(service: PailService, pail: Pail, tmp_path: Path) -> None:
    source = local(tmp_path / "many", 20)
    service.refused = {"base/003.txt", "base/011.txt"}
    with pytest.raises(TransferError, match="2 of 20 failed") as caught:
        pail.put_directory(str(source))
    assert sorted(caught.value.failures) == ["003.txt", "011.txt"]
    assert "409 this key is locked" in str(caught.value)
    again = pickle.loads(pickle.dumps(TransferError("Upload", {"a": ValueError("b")}, 3)))
    assert (str(again), list(again.failures)) == ("Upload: 1 of 4 failed.\n  a: ValueError: b", ["a"])
    assert len(pail.list_paths()) == 18


def test_a_caller_that_goes_away_takes_its_transfer_along(service: PailService, pail: Pail, tmp_path: Path) -> None:
    source = local(tmp_path / "many", 100)
    service.gate = threading.Event()

    async def work() -> None:
        sending = asyncio.ensure_future(pail.aput_directory(str(source)))
        while service.at_once < 8:
            await asyncio.sleep(0.01)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert service.gate is not None
        service.gate.set()

    asyncio.run(work())  # its end waits for the threads
    assert len(service.objects) < 30


def test_listing_goes_page_by_page(service: PailService, pail: Pail, tmp_path: Path) -> None:
    service.objects = {f"pail/base/{number:03}": b"1" for number in range(250)}
    assert len(pail.list_paths()) == 250
    assert len(pail.get_directory(None, str(tmp_path))) == 250


# --- broken off


def test_a_download_that_breaks_off_goes_on_where_it_was(service: PailService, pail: Pail, tmp_path: Path) -> None:
    service.objects["pail/base/file"] = content = bytes(range(256)) * 2000
    service.cut_after = [100_000, 50_000]
    assert pail.download_object_to_path("file", tmp_path / "file").read_bytes() == content
    assert len([one for one in service.requests if one.startswith("GET")]) == 3


def test_a_download_that_fails_leaves_a_part_that_the_next_goes_on_with(service: PailService, pail: Pail, tmp_path: Path) -> None:
    service.objects["pail/base/file"] = content = bytes(range(256)) * 4096 * 10  # 10 MiB
    service.cut_after = [6 * MIB, 0, 0, 0, 0]
    with pytest.raises(OSError, match="broke off|ended after"):
        pail.download_object_to_path("file", tmp_path / "to" / "file")
    kept = list((tmp_path / "to").iterdir())
    assert [file.suffix for file in kept] == [".part"]
    assert 5 * MIB < kept[0].stat().st_size <= 6 * MIB
    service.cut_after = [4 * MIB + 10]  # more than what is left: an answer from the start would break off
    service.requests.clear()
    assert pail.download_object_to_path("file", tmp_path / "to" / "file").read_bytes() == content
    assert [file.name for file in (tmp_path / "to").iterdir()] == ["file"]


def test_a_part_of_another_version_is_not_used(service: PailService, pail: Pail, tmp_path: Path) -> None:
    service.objects["pail/base/file"] = b"old!" * MIB * 3
    service.cut_after = [6 * MIB, 0, 0, 0, 0]
    with pytest.raises(OSError, match="broke off|ended after"):
        pail.download_object_to_path("file", tmp_path / "file")
    service.objects["pail/base/file"] = content = b"new!" * MIB * 3
    service.cut_after = []
    assert pail.download_object_to_path("file", tmp_path / "file").read_bytes() == content


def test_an_object_that_changes_while_it_is_read_is_not_mixed(service: PailService, pail: Pail, tmp_path: Path) -> None:
    service.objects["pail/base/file"] = b"old!" * 100_000
    found = pail.list_stored()[0]
    service.objects["pail/base/file"] = b"new!" * 100_000
    with pytest.raises(Exception, match="412"):
        b"".join(pail.driver.read(found.key, 0, found.version))
    assert pail.download_object_to_path("file", tmp_path / "file").read_bytes() == b"new!" * 100_000


# --- told meanwhile


class SlowDriver(PailDriver):
    """Six seconds pass with each object."""

    time: ControlledClock

    def write(self, key: str, content: BinaryIO, size: int | None, progress: Progress, **options: Any) -> None:
        self.time.pass_time(6)
        super().write(key, content, size, progress, **options)


class SlowPail(Pail):
    _concurrency: ClassVar[int] = 1

    def open_driver(self) -> PailDriver:
        return SlowDriver(self.host, self.pail_name, "opens")


def test_a_long_transfer_tells_how_far_it_is(service: PailService, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = local(tmp_path / "many", 3)
    (source / "0-big").write_bytes(b"1" * MIB)
    held = ControlledClock()
    with clock.use(held), add_headrace_loggers_to_caplog(caplog), caplog.at_level(logging.INFO):
        SlowDriver.time = held
        SlowPail(host=service.url).put_directory(str(source), "to")
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Upload to pail://pail/to: ")]
    assert len(told) == 2
    assert "0 of 4 files, 64.0 KiB of 1.0 MiB (6 %), 10.7 KiB/s" in told[0]


# --- moved


def test_a_move_that_cannot_delete_keeps_both_and_says_so(service: PailService, pail: Pail) -> None:
    pail.write_path("first", b"1")
    service.refused = {"base/first"}
    with pytest.raises(Exception, match="409"):
        pail.move_object("first", "second")
    assert pail.list_paths() == ["first", "second"]


def test_objects_go_to_other_buckets(service: PailService, pail: Pail) -> None:
    pail.write_path("first", b"1")
    other = Pail(host=service.url, pail_name="other", pail_folder="there")
    assert pail.copy_object("first", "second", other) == "there/second"
    assert other.read_path("second") == b"1"
    assert pail.copy_object("first", "whole/key", "other") == "whole/key"
    assert other.read_path("/whole/key") == b"1"
    assert pail.move_object("first", "third", other) == "there/third"
    with pytest.raises(ObjectNotFound):
        pail.read_path("first")


def test_an_ignore_file_may_lie_in_the_directory(pail: Pail, tmp_path: Path) -> None:
    source = local(tmp_path / "many", 3)
    (source / ".rules").write_text("001.txt\n")
    assert pail.put_directory(str(source), None, ".rules") == 3
    assert "001.txt" not in pail.list_paths()


def test_a_changed_field_is_in_force_at_once(service: PailService, pail: Pail) -> None:
    pail.write_path("x", b"1")
    pail.pail_name = "other"
    assert not pail.exists("x")


def test_a_saved_block_works(service: PailService, pail: Pail) -> None:
    pail.save("mine")
    loaded = Pail.load("mine")
    loaded.write_path("x", b"1")
    assert "opens" not in repr(loaded)
    assert pail.read_path("x") == b"1"


def test_links_in_the_directory_lead_no_object_out_of_it(service: PailService, pail: Pail, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "to" / "link").symlink_to(tmp_path / "outside")
    for path in ("good/1", "link/2", "good/3"):
        pail.write_path(path, b"1")
    with pytest.raises(TransferError, match="base/link/2: ValueError: The key would be written outside"):
        pail.get_directory(None, str(tmp_path / "to"))
    assert list((tmp_path / "outside").iterdir()) == []
    assert sorted(file.name for file in (tmp_path / "to" / "good").iterdir()) == ["1", "3"]


@pytest.mark.parametrize("key", ["base/..", "base/a/../../b", "base//etc/evil", "base/a/./b"])
def test_strange_keys_stay_inside(service: PailService, pail: Pail, tmp_path: Path, key: str) -> None:
    service.objects[f"pail/{key}"] = b"1"
    with contextlib.suppress(TransferError):
        pail.get_directory(None, str(tmp_path / "deep" / "to"))
    inside = tmp_path / "deep" / "to"
    assert [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_relative_to(inside) and file.read_bytes() == b"1"] == []
