"""Results, caches and transactions as flows and tasks meet them: the documented examples and what they promise."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace import flow, task
from headrace.cache_policies import INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE, CacheKeyFnPolicy
from headrace.client.orchestration import get_client
from headrace.exceptions import ConfigurationError
from headrace.filesystems import LocalFileSystem
from headrace.locking.filesystem import FileSystemLockManager
from headrace.locking.memory import MemoryLockManager
from headrace.results import ResultStore
from headrace.settings import temporary_settings
from headrace.transactions import IsolationLevel, TransactionRolledBack, transaction


@pytest.fixture
def ran() -> list[Any]:
    return []


# --- caching -------------------------------------------------------------------------------------------------------------


def test_same_inputs_are_found_again_outside_flows(ran: list[Any]) -> None:
    @task(cache_policy=INPUTS - "debug")
    def add(x: int, debug: bool = False) -> int:
        ran.append(x)
        return x + 42

    states = [add(1, return_state=True), add(1, debug=True, return_state=True), add(2, return_state=True)]
    assert [state.name for state in states] == ["Completed", "Cached", "Completed"]
    assert [state.result() for state in states] == [43, 43, 44]
    assert ran == [1, 2]


def test_expired_cache_is_computed_anew(ran: list[Any]) -> None:
    @task(cache_policy=INPUTS, cache_expiration=timedelta(seconds=-1))
    def add(x: int) -> int:
        ran.append(x)
        return x

    assert [add(1, return_state=True).name for _ in range(2)] == ["Completed", "Completed"]


def test_refresh_writes_the_cache_anew(ran: list[Any]) -> None:
    @task(cache_policy=INPUTS)
    def count(x: int) -> int:
        ran.append(x)
        return len(ran)

    assert (count(1), count(1), count.with_options(refresh_cache=True)(1), count(1)) == (1, 1, 2, 2)


def test_without_persistence_nothing_is_cached(home: Path) -> None:
    @task
    def add(x: int) -> int:
        return x

    @flow
    def main() -> list[str]:
        return [add(1, return_state=True).name for _ in range(2)]

    assert main() == ["Completed", "Completed"]
    assert not (home / "storage").exists()


def test_default_policy_counts_within_one_flow_run() -> None:
    @task
    def add(x: int) -> int:
        return x

    @flow
    def main() -> list[str]:
        return [add(1, return_state=True).name for _ in range(2)]

    with temporary_settings({"HEADRACE_RESULTS_PERSIST_BY_DEFAULT": True}):
        assert main() == ["Completed", "Cached"]
        assert main() == ["Completed", "Cached"]
        assert [add(1, return_state=True).name for _ in range(2)] == ["Completed", "Completed"]


def test_custom_key_for_inputs_that_cannot_be_hashed() -> None:
    @task(cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda context, parameters: parameters["thing"].name) + RUN_ID)
    def use(thing: Any) -> str:
        return f"Used {thing.name}"

    class Thing:
        name = "test"

        def __getstate__(self) -> Any:
            raise TypeError("I will not be serialized!")

    @flow
    def main() -> list[str]:
        thing = Thing()
        return [use(thing, return_state=True).name for _ in range(2)]

    assert main() == ["Completed", "Cached"]


def test_input_that_cannot_be_hashed_is_named_and_the_task_runs(caplog: pytest.LogCaptureFixture) -> None:
    @task(cache_policy=INPUTS)
    def use(lock: Any) -> str:
        return "ran"

    assert use(threading.Lock()) == "ran"
    assert "Inputs 'lock' cannot be hashed" in caplog.text


def test_keys_are_kept_apart_from_results(tmp_path: Path, home: Path) -> None:
    @task(cache_policy=(TASK_SOURCE + INPUTS).configure(key_storage=str(tmp_path / "keys")), result_serializer="json")
    def add(x: int) -> int:
        return x + 42

    assert [add(1, return_state=True).name for _ in range(2)] == ["Completed", "Cached"]
    [key] = (tmp_path / "keys").iterdir()
    assert (home / "storage" / key.name).read_text() == "43"
    key.unlink()
    assert add(1, return_state=True).name == "Completed"


def test_keys_in_the_place_of_results_are_refused(tmp_path: Path, home: Path, ran: list[Any]) -> None:
    block = LocalFileSystem(basepath=str(tmp_path))
    block.save("both")
    for keys, results in ((home / "storage", None), (str(home / "storage"), None), ("local-file-system/both", block), (tmp_path, tmp_path)):

        @task(cache_policy=INPUTS.configure(key_storage=keys), result_storage=results)
        def add(x: int) -> int:
            ran.append(x)
            return x

        with pytest.raises(ConfigurationError, match="same place"):
            add(1)
    assert ran == []


def test_one_of_two_simultaneous_runs_is_cached(ran: list[Any]) -> None:
    policy = INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=MemoryLockManager())

    @task(cache_policy=policy)
    def slow(x: int) -> int:
        ran.append(threading.current_thread().name)
        return x

    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(slow(1, return_state=True).name)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == ["Cached", "Completed"]
    assert len(ran) == 1


# --- results -------------------------------------------------------------------------------------------------------------


def test_persisted_result_is_read_with_a_store_over_a_file_system(tmp_path: Path, home: Path) -> None:
    @task(persist_result=True, result_storage_key="my-result")
    def compute_value() -> dict[str, int]:
        return {"answer": 42}

    @flow
    def my_flow() -> None:
        compute_value()

    my_flow()
    store = ResultStore(result_storage=LocalFileSystem(basepath=str(home / "storage")))
    record = store.read(key="my-result")
    assert record.result == {"answer": 42}
    assert record.metadata.storage_key == "my-result"


def test_storage_key_is_filled_in_and_json_is_text(home: Path) -> None:
    @task(result_storage_key="rk-{parameters[x]}-{flow_run.flow_name}.json", result_serializer="json")
    def t(x: int) -> dict[str, int]:
        return {"x": x}

    @flow(name="main")
    def main() -> None:
        t(4)

    main()
    assert json.loads((home / "storage" / "rk-4-main.json").read_text())["result"] == '{"x": 4}'


def test_file_system_block_keeps_results(tmp_path: Path) -> None:
    storage = LocalFileSystem(basepath=str(tmp_path / "mine"))
    storage.save("my-storage", overwrite=True)

    @task(result_storage="local-file-system/my-storage", result_storage_key="hello-{parameters[name]}.pickle")
    def hello(name: str = "world") -> str:
        return f"hello {name}"

    assert hello(name="foo", return_state=True).result() == "hello foo"
    assert ResultStore(storage).read("hello-foo.pickle").result == "hello foo"


def test_value_that_cannot_be_stored_warns_and_is_returned(caplog: pytest.LogCaptureFixture, home: Path) -> None:
    @task
    def make() -> Any:
        return threading.Lock()

    @flow
    def main() -> bool:
        return make() is not None

    with temporary_settings({"HEADRACE_TASKS_DEFAULT_PERSIST_RESULT": True}):
        assert main()
    assert "'make-0'" in caplog.text
    assert "of type 'lock', could not be serialized with PickleSerializer" in caplog.text


# --- transactions --------------------------------------------------------------------------------------------------------


def side_effects(ran: list[Any]) -> Any:
    @task
    def work(name: str, fails: bool = False) -> str:
        ran.append(f"run {name}")
        if fails:
            raise ValueError(f"{name} failed")
        return name

    @work.on_commit
    def commit(txn: Any) -> None:
        ran.append("commit")

    @work.on_rollback
    def rollback(txn: Any) -> None:
        ran.append(f"rollback {txn.get('note', 'nothing')}")

    return work


@pytest.mark.parametrize("how", ["call", "submit"])
def test_failing_task_rolls_back_those_before_it(ran: list[Any], how: str) -> None:
    work = side_effects(ran)
    run = work if how == "call" else lambda *args, **kwargs: work.submit(*args, **kwargs).result()

    @flow
    def main() -> None:
        with transaction() as txn:
            txn.set("note", "of main")
            run("a")
            run("b")
            run("c", fails=True)

    with pytest.raises(ValueError, match="c failed"):
        main()
    assert ran == ["run a", "run b", "run c", "rollback of main", "rollback of main"]


def test_tasks_outside_transactions_commit_at_once(ran: list[Any]) -> None:
    work = side_effects(ran)

    @flow
    def main() -> None:
        work("a")
        work("b", fails=True)

    with pytest.raises(ValueError, match="b failed"):
        main()
    assert ran == ["run a", "commit", "run b"]


def test_failure_hidden_in_a_state_is_not_lost(ran: list[Any]) -> None:
    work = side_effects(ran)

    @flow
    def main() -> None:
        with transaction():
            work("a")
            work("b", fails=True, return_state=True)

    with pytest.raises(TransactionRolledBack, match="b failed"):
        main()
    assert ran == ["run a", "run b", "rollback nothing"]


def test_retried_task_does_not_roll_back_its_transaction(ran: list[Any]) -> None:
    work = side_effects(ran)
    attempts: list[int] = []

    @task(retries=1)
    def flaky() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("once")

    @flow
    def main() -> None:
        with transaction():
            work("a")
            flaky()

    main()
    assert ran == ["run a", "commit"]


def test_caches_are_written_together_or_not_at_all(ran: list[Any], home: Path) -> None:
    @task(cache_key_fn=lambda *args, **kwargs: "static-key-1")
    def load_data() -> str:
        ran.append("load")
        return "some-data"

    @task(cache_key_fn=lambda *args, **kwargs: "static-key-2")
    def process_data(data: str, fail: bool) -> int:
        if fail:
            raise RuntimeError("Error! Abort!")
        return len(data)

    @flow
    def multi_task_cache(fail: bool = True) -> None:
        with transaction():
            data = load_data()
            process_data(data=data, fail=fail)

    with pytest.raises(RuntimeError, match="Abort"):
        multi_task_cache()
    assert not (home / "storage" / "static-key-1").exists()
    multi_task_cache(fail=False)
    assert ran == ["load", "load"]
    assert (home / "storage" / "static-key-1").exists()


def test_keyed_section_of_a_flow_runs_once(ran: list[Any]) -> None:
    @task
    def write_data(data: str) -> None:
        ran.append(data)

    @flow
    def pipeline() -> str:
        with transaction(key="download-and-write-data") as txn:
            if txn.is_committed():
                return "already written"
            write_data("some data")
        return "written"

    assert [pipeline(), pipeline()] == ["written", "already written"]
    assert ran == ["some data"]


def test_threads_with_one_key_write_once(tmp_path: Path, home: Path) -> None:
    written: list[str] = []

    @task
    def write_file(contents: str) -> None:
        written.append(contents)

    @flow
    def pipeline(transaction_key: str) -> None:
        locks = FileSystemLockManager(lock_files_directory=home / "locks")
        store = ResultStore(lock_manager=locks)
        with transaction(key=transaction_key, isolation_level=IsolationLevel.SERIALIZABLE, store=store) as txn:
            if not txn.is_committed():
                write_file(threading.current_thread().name)

    threads = [threading.Thread(target=pipeline, name=f"Thread {number}", args=("race",)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1


def test_async_flows_have_the_same_caches_and_transactions(ran: list[Any]) -> None:
    from headrace.transactions import atransaction

    @task(cache_policy=INPUTS)
    async def add(x: int) -> int:
        ran.append(x)
        return x + 1

    @add.on_rollback
    async def undo(txn: Any) -> None:
        ran.append("undo")

    @task(cache_policy=NO_CACHE)
    async def fail() -> None:
        raise ValueError("late")

    @flow
    async def main(fails: bool) -> list[str]:
        async with atransaction():
            first = await add(1, return_state=True)
            if fails:
                await fail()
        second = await add(1, return_state=True)
        return [first.name, second.name]

    with pytest.raises(ValueError, match="late"):
        asyncio.run(main(True))
    assert asyncio.run(main(False)) == ["Completed", "Cached"]
    assert ran == [1, "undo", 1]


def test_tasks_inside_a_failing_task_are_rolled_back_with_it(ran: list[Any]) -> None:
    work = side_effects(ran)

    @task
    def outer(fails: bool) -> None:
        work("inner")
        ran.append("end of outer")
        if fails:
            raise ValueError("outer failed")

    @flow
    def main(fails: bool) -> None:
        outer(fails)

    main(False)
    assert ran == ["run inner", "end of outer", "commit"]
    ran.clear()
    with pytest.raises(ValueError, match="outer failed"):
        main(True)
    assert ran == ["run inner", "end of outer", "rollback nothing"]


def test_transaction_opened_in_a_task_shares_its_fate(ran: list[Any]) -> None:
    work = side_effects(ran)

    @task
    def middle() -> None:
        with transaction() as txn:
            txn.set("note", "of middle")
            work("inner")

    @task
    def outer() -> None:
        middle()
        raise ValueError("outer failed")

    with pytest.raises(ValueError, match="outer failed"):
        outer()
    assert ran == ["run inner", "rollback of middle"]


def test_retried_task_undoes_what_its_failed_attempt_staged(ran: list[Any]) -> None:
    work = side_effects(ran)

    @task(retries=1)
    def outer() -> None:
        work("inner")
        if len(ran) == 1:
            raise ValueError("once")

    outer()
    assert ran == ["run inner", "rollback nothing", "run inner", "commit"]


def test_async_tasks_inside_a_failing_async_task_are_rolled_back_with_it(ran: list[Any]) -> None:
    @task
    async def inner() -> None:
        ran.append("run")

    @inner.on_rollback
    async def undo(txn: Any) -> None:
        ran.append("undo")

    @task
    async def outer() -> None:
        await asyncio.gather(inner(), inner())
        raise ValueError("outer failed")

    with pytest.raises(ValueError, match="outer failed"):
        asyncio.run(outer())
    assert ran == ["run", "run", "undo", "undo"]


@pytest.mark.parametrize("persist", [False, True])
def test_task_that_handles_a_failure_inside_keeps_the_rest(ran: list[Any], persist: bool) -> None:
    work = side_effects(ran)

    @task(persist_result=persist, cache_policy=INPUTS)
    def outer(x: int) -> str:
        work("a")
        try:
            work("b", fails=True)
        except ValueError:
            ran.append("handled")
        return "done"

    @flow
    def main() -> str:
        with transaction():
            return outer(1)

    assert main() == "done"
    assert ran == ["run a", "run b", "handled", "commit"]
    assert outer(1, return_state=True).name == ("Cached" if persist else "Completed")


def test_result_in_a_saved_block_is_found_by_the_id_in_the_state(tmp_path: Path) -> None:
    from headrace.client.bridge import drive
    from headrace.data.results import read_stored_result
    from headrace.results import ResultRecordMetadata, resolve_result_storage

    block_id = LocalFileSystem(basepath=str(tmp_path / "mine")).save("mine")
    store = ResultStore(result_storage=resolve_result_storage(block_id))
    record = store.create_result_record([1, 2], key="k")
    store.persist_result_record(record)
    reference = drive(store.areference(record))
    assert reference["storage_block_id"] == str(block_id)
    assert drive(read_stored_result(ResultRecordMetadata.model_validate(json.loads(json.dumps(reference))))) == [1, 2]


@pytest.mark.parametrize("by", ["option", "setting"])
def test_result_in_a_block_that_was_only_named_is_found_from_elsewhere(by: str, tmp_path: Path) -> None:
    id = LocalFileSystem(basepath=str(tmp_path / "kept")).save("kept")

    named = "local-file-system/kept" if by == "option" else None

    @task(result_storage=named)
    def two() -> int:
        return 2

    @flow(persist_result=True, result_storage=named)
    def both() -> int:
        return two() + 1

    with temporary_settings({"HEADRACE_RESULTS_DEFAULT_STORAGE_BLOCK": "local-file-system/kept"} if by == "setting" else {}):
        both()
    with get_client(sync_client=True) as client:
        states = [run.state for run in (*client.read_task_runs(), *client.read_flow_runs())]
    assert [state.data["storage_block_id"] for state in states if state is not None] == [str(id)] * 2
    assert [state.result() for state in states if state is not None] == [2, 3]
