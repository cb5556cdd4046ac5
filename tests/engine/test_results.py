"""The result store: what is written, what is found again, and what is said when something is in the way."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.locking.memory import MemoryLockManager
from headrace.model import clock
from headrace.model.errors import ConfigurationError, MissingResult, ResultStorageError, SerializationError
from headrace.results import (
    ResultRecord,
    ResultRecordMetadata,
    ResultStore,
    get_default_persist_setting,
    get_default_persist_setting_for_tasks,
    get_default_result_storage,
    get_result_store,
    resolve_result_storage,
    resolve_serializer,
    should_persist_result,
)
from headrace.serializers import JSONSerializer, PickleSerializer, Serializer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


class Bucket:
    """A remote storage as plugins write them: plain blocking methods and an error class of its own."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads: list[str] = []

    def read_path(self, path: str) -> bytes:
        self.reads.append(path)
        try:
            return self.objects[path]
        except KeyError:
            raise NoSuchKey(path) from None

    def write_path(self, path: str, content: bytes) -> None:
        self.objects[path] = content


class NoSuchKey(Exception):
    """As the S3 SDK names it."""


class AsyncBucket:
    """A storage whose methods are coroutines."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def read_path(self, path: str) -> bytes:
        await asyncio.sleep(0)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    async def write_path(self, path: str, content: bytes) -> None:
        await asyncio.sleep(0)
        self.objects[path] = content


# --- format --------------------------------------------------------------------------------------------------------------


def test_pickled_result_is_one_json_document_with_base64_text(folder: Path) -> None:
    ResultStore(folder).write({"answer": 42}, key="my-result")
    document = json.loads((folder / "my-result").read_text())
    assert document["metadata"]["storage_key"] == "my-result"
    assert document["metadata"]["expiration"] is None
    assert document["metadata"]["serializer"]["type"] == "pickle"
    assert pickle.loads(base64.b64decode(document["result"])) == {"answer": 42}


def test_json_result_is_raw_json_text(folder: Path) -> None:
    ResultStore(folder, serializer="json").write({"x": 4}, key="rk-4.json")
    assert json.loads((folder / "rk-4.json").read_text())["result"] == '{"x": 4}'


def test_documents_in_any_layout_are_read(folder: Path) -> None:
    folder.mkdir()
    document = {"result": "[1, 2]", "metadata": {"storage_key": "k", "expiration": None, "serializer": {"type": "json"}, "prefect_version": "3"}}
    (folder / "k").write_text(json.dumps(document, indent=2))
    assert ResultStore(folder).read("k").result == [1, 2]


def test_metadata_apart_from_the_value(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    store = ResultStore(folder, metadata_storage=keys, serializer="json")
    store.write([1, 2], key="k")
    assert (folder / "k").read_text() == "[1, 2]"
    assert json.loads((keys / "k").read_text())["serializer"]["type"] == "json"
    assert ResultStore(folder, metadata_storage=keys).read("k").result == [1, 2]
    (keys / "k").unlink()
    assert not store.exists("k")


def test_bytes_that_are_no_text_survive(folder: Path) -> None:
    class Raw(Serializer):
        type: str = "raw-bytes-of-test"

        def dumps(self, obj: bytes) -> bytes:
            return obj

        def loads(self, blob: bytes) -> bytes:
            return blob

    ResultStore(folder, serializer=Raw()).write(b"\xff\x00\xfe", key="k")
    assert ResultStore(folder).read("k").result == b"\xff\x00\xfe"


def test_record_tells_what_is_known_about_the_result(folder: Path) -> None:
    until = clock.now() + timedelta(hours=1)
    store = ResultStore(folder)
    store.write(1, key="hello", expiration=until)
    record = ResultStore(folder).read("hello")
    assert isinstance(record.metadata.serializer, PickleSerializer)
    assert record.metadata.serializer.picklelib_version is not None
    assert record.metadata.storage_key == "hello"
    assert record.expiration == until


# --- finding -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda folder: folder, lambda folder: Bucket(), lambda folder: AsyncBucket()], ids=["folder", "bucket", "async"])
def test_written_results_are_read_again_in_both_modes(folder: Path, make: Any) -> None:
    storage = make(folder)
    store = ResultStore(storage, cache_result_in_memory=False)
    store.write("blocking", key="b")

    async def both() -> tuple[Any, Any, bool]:
        await store.awrite("async", key="a")
        return (await store.aread("a")).result, (await store.aread("b")).result, await store.aexists("none")

    assert asyncio.run(both()) == ("async", "blocking", False)
    assert store.read("a").result == "async"
    assert store.exists("a")
    assert not store.exists("none")


def test_blocking_names_in_an_event_loop_give_awaitables(folder: Path) -> None:
    store = ResultStore(folder)

    async def main() -> Any:
        await store.write(5, key="k")  # type: ignore[misc]  # documented: awaitable here
        return (await store.read("k")).result  # type: ignore[misc]

    assert asyncio.run(main()) == 5


def test_missing_key_is_named(folder: Path) -> None:
    with pytest.raises(MissingResult, match="No valid result is stored under key 'nope'"):
        ResultStore(folder).read("nope")


def test_expired_record_is_absent(folder: Path) -> None:
    store = ResultStore(folder)
    store.write(1, key="k", expiration=clock.now() - timedelta(seconds=1))
    assert not store.exists("k")
    with pytest.raises(MissingResult):
        store.read("k")


def test_expired_record_in_a_bucket_is_absent_although_it_is_in_memory() -> None:
    store = ResultStore(Bucket())
    store.write(1, key="k", expiration=clock.now() - timedelta(seconds=1))
    with pytest.raises(MissingResult):
        store.read("k")


def test_existence_is_told_without_reading_the_value(folder: Path) -> None:
    """The value is cut off: whoever read all of it would find no valid document."""
    ResultStore(folder).write("x" * 100_000, key="k")
    whole = (folder / "k").read_bytes()
    (folder / "k").write_bytes(whole[:50_000])
    assert ResultStore(folder).exists("k")


def test_damaged_record_is_absent_and_said_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir()
    (folder / "k").write_text("no json at all")
    assert not ResultStore(folder).exists("k")
    assert "'k' is taken as absent" in caplog.text


def test_unreadable_storage_is_an_error_and_not_a_miss() -> None:
    class Broken(Bucket):
        def read_path(self, path: str) -> bytes:
            raise PermissionError("access denied")

    with pytest.raises(ResultStorageError, match="Broken could not be read at 'k': PermissionError: access denied"):
        ResultStore(Broken()).exists("k")


def test_unwritable_storage_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultStorageError, match="could not be written"):
        ResultStore(tmp_path / "file").write(1, key="k")


def test_deleted_file_is_gone_although_the_value_is_in_memory(folder: Path) -> None:
    store = ResultStore(folder)
    store.write(1, key="k")
    (folder / "k").unlink()
    assert not store.exists("k")
    with pytest.raises(MissingResult):
        store.read("k")


def test_a_record_changed_by_somebody_else_is_read_anew(folder: Path) -> None:
    mine, theirs = ResultStore(folder), ResultStore(folder)
    mine.write("old", key="k")
    theirs.write("new", key="k", expiration=clock.now() + timedelta(days=1))
    assert mine.read("k").result == "new"


def test_value_is_held_in_memory_unless_told_otherwise() -> None:
    bucket = Bucket()
    value = object_with_identity()
    store = ResultStore(bucket)
    store.write(value, key="k")
    assert store.read("k").result is value
    fresh = ResultStore(bucket, cache_result_in_memory=False)
    fresh.write(value, key="k")
    assert fresh.read("k").result is not value


def object_with_identity() -> list[int]:
    return [1, 2, 3]


def test_unknown_serializer_leaves_the_metadata_readable(folder: Path) -> None:
    folder.mkdir()
    document = {"metadata": {"storage_key": "k", "expiration": None, "serializer": {"type": "jsn"}}, "result": "1"}
    (folder / "k").write_text(json.dumps(document))
    record = ResultStore(folder).read("k")
    assert record.metadata.storage_key == "k"
    with pytest.raises(RuntimeError, match="No serializer has the type 'jsn'. Did you mean 'json'"):
        _ = record.result


def test_value_that_cannot_be_stored_is_named(folder: Path) -> None:
    import threading

    with pytest.raises(SerializationError, match="of type 'lock', could not be serialized with PickleSerializer"):
        ResultStore(folder).write(threading.Lock(), key="k")
    assert not folder.exists()


def test_result_is_read_in_another_process(folder: Path) -> None:
    ResultStore(folder).write({"answer": 42}, key="my-result")
    code = f"from pathlib import Path\nfrom headrace.results import ResultStore\nprint(ResultStore(Path({str(folder)!r})).read('my-result').result)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'answer': 42}"


def test_reader_never_sees_half_a_result(folder: Path) -> None:
    store = ResultStore(folder, cache_result_in_memory=False)
    store.write("0" * 200_000, key="k")

    def write(number: int) -> None:
        ResultStore(folder, cache_result_in_memory=False).write(str(number) * 200_000, key="k")

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(write, number) for number in range(1, 9)]
        seen = [ResultStore(folder).read("k").result for _ in range(50)]
        for future in done:
            future.result()
    assert all(len(set(value)) == 1 and len(value) == 200_000 for value in seen)
    assert [path.name for path in folder.iterdir()] == ["k"]


# --- keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["../escape", "/etc/absolute", ".", "a/../../b"])
def test_key_cannot_leave_the_folder(folder: Path, key: str) -> None:
    with pytest.raises(ResultStorageError, match="outside of its folder"):
        ResultStore(folder).write(1, key=key)


def test_key_may_name_folders_inside(folder: Path) -> None:
    ResultStore(folder).write(1, key="daily/report")
    assert (folder / "daily" / "report").exists()


def test_results_without_a_key_get_a_new_one(folder: Path) -> None:
    store = ResultStore(folder)
    store.write(1)
    store.write(2)
    assert len(list(folder.iterdir())) == 2


def test_reference_leads_another_process_to_the_result(folder: Path) -> None:
    from headrace.client.bridge import drive
    from headrace.data.results import read_stored_result

    store = ResultStore(folder)
    record = store.create_result_record([1], key="k")
    store.persist_result_record(record)
    reference = drive(store.areference(record))
    assert reference["storage_key"] == str(folder / "k")
    assert drive(read_stored_result(ResultRecordMetadata.model_validate(json.loads(json.dumps(reference))))) == [1]


def test_delete_removes_the_record(folder: Path) -> None:
    store = ResultStore(folder)
    store.write(1, key="k")
    assert store.delete("k")
    assert not store.exists("k")


# --- locks ---------------------------------------------------------------------------------------------------------------


def test_locked_record_is_written_by_its_holder_alone(folder: Path) -> None:
    store = ResultStore(folder, lock_manager=MemoryLockManager())
    assert store.acquire_lock("locked", holder="me")
    with pytest.raises(RuntimeError, match="locked by somebody else"):
        store.write(1, key="locked", holder="you")
    store.write(1, key="locked", holder="me")
    store.release_lock("locked", holder="me")
    assert store.read("locked").result == 1


def test_lock_without_a_manager_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="lock manager"):
        ResultStore(folder).acquire_lock("k")


# --- decisions -----------------------------------------------------------------------------------------------------------


def test_persistence_by_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.settings import temporary_settings

    assert not should_persist_result()
    with temporary_settings({"HEADRACE_RESULTS_PERSIST_BY_DEFAULT": True}):
        assert get_default_persist_setting()
        assert get_default_persist_setting_for_tasks()
        assert should_persist_result()
    with temporary_settings({"HEADRACE_TASKS_DEFAULT_PERSIST_RESULT": True}):
        assert not get_default_persist_setting()
        assert get_default_persist_setting_for_tasks()
    with temporary_settings({"HEADRACE_RESULTS_DEFAULT_STORAGE_BLOCK": "s3-bucket/mine"}):
        assert get_default_persist_setting()


@pytest.mark.parametrize(
    ("own", "of_tasks", "enclosing", "expected"),
    [
        (True, False, False, True),
        (False, True, True, False),
        (None, True, False, True),
        (None, False, True, False),
        (None, None, True, True),
        (None, None, False, False),
        (None, None, None, False),
    ],
)
def test_task_persistence_is_decided_in_order(own: Any, of_tasks: Any, enclosing: Any, expected: bool) -> None:
    from headrace.data.result_decisions import decide_task_persistence
    from headrace.settings import temporary_settings

    with temporary_settings({} if of_tasks is None else {"HEADRACE_TASKS_DEFAULT_PERSIST_RESULT": of_tasks}):
        assert decide_task_persistence(own, enclosing) is expected


def test_default_storage_is_the_folder_of_the_settings(home: Path) -> None:
    get_result_store().write(1, key="k")
    assert (home / "storage" / "k").exists()
    assert get_default_result_storage() == resolve_result_storage(home / "storage")


def test_default_serializer_is_that_of_the_settings(folder: Path) -> None:
    from headrace.settings import temporary_settings

    with temporary_settings({"HEADRACE_RESULTS_DEFAULT_SERIALIZER": "json"}):
        assert isinstance(ResultStore(folder).serializer, JSONSerializer)


@pytest.mark.parametrize("value", [5, object()])
def test_things_that_are_no_storage_or_serializer_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="Result serializer must be"):
        resolve_serializer(value)
    with pytest.raises(TypeError, match="Result storage must be"):
        resolve_result_storage(value)


def test_key_template_names_what_cannot_be_filled_in() -> None:
    from headrace.data.result_decisions import storage_key_from

    assert storage_key_from("rk-{parameters[x]}.json", parameters={"x": 4}) == "rk-4.json"
    with pytest.raises(ValueError, match="'rk-\\{parameters\\[y\\]\\}' cannot be filled in: KeyError: 'y'. It can use parameters \\(x\\)"):
        storage_key_from("rk-{parameters[y]}", parameters={"x": 4})


def test_equal_records_are_equal(folder: Path) -> None:
    store = ResultStore(folder)
    record = store.create_result_record({"a": 1}, key="k")
    assert ResultRecord.deserialize(record.serialize()) == record


def test_draft_files_do_not_stay_behind_a_failed_write(folder: Path) -> None:
    folder.mkdir()
    (folder / "k").mkdir()
    with pytest.raises(ResultStorageError):
        ResultStore(folder).write(1, key="k")
    assert os.listdir(folder) == ["k"]
