"""Transactions: what commits, what rolls back, in what order, and what is seen of it."""

# ruff: noqa: PT012  # a block that fails as a whole is what is tested

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from headrace.locking.memory import MemoryLockManager
from headrace.results import ResultStore
from headrace.transactions import (
    AsyncTransaction,
    CommitMode,
    IsolationLevel,
    Transaction,
    TransactionRolledBack,
    atransaction,
    get_transaction,
    transaction,
)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(result_storage=tmp_path / "results", lock_manager=MemoryLockManager())


class Diary:
    """Notes what hooks did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> Callable[[Any], None]:
        return lambda txn: self.lines.append(line)

    def work(self, name: str, fails: bool = False, key: str | None = None, store: ResultStore | None = None, value: Any = None) -> None:
        """Do what a task run does in its transaction."""
        with Transaction(key=key, store=store, label=f"task {name!r}") as txn:
            self.lines.append(f"run {name}")
            if fails:
                raise ValueError(f"{name} failed")
            txn.stage(value, on_rollback_hooks=[self.note(f"rollback {name}")], on_commit_hooks=[self.note(f"commit {name}")])


@pytest.fixture
def diary() -> Diary:
    return Diary()


# --- order ---------------------------------------------------------------------------------------------------------------


def test_lazy_children_commit_in_order_after_the_block(diary: Diary) -> None:
    with transaction():
        diary.work("a")
        diary.work("b")
        diary.lines.append("end of block")
    assert diary.lines == ["run a", "run b", "end of block", "commit a", "commit b"]


def test_lazy_failure_rolls_back_the_staged_in_reverse_and_not_the_failing(diary: Diary) -> None:
    with pytest.raises(ValueError, match="c failed"), transaction():
        diary.work("a")
        diary.work("b")
        diary.work("c", fails=True)
    assert diary.lines == ["run a", "run b", "run c", "rollback b", "rollback a"]


def test_eager_children_commit_at_their_own_end_and_stay(diary: Diary) -> None:
    with pytest.raises(ValueError, match="b failed"), transaction(commit_mode=CommitMode.EAGER):
        diary.work("a")
        diary.work("b", fails=True)
    assert diary.lines == ["run a", "commit a", "run b"]


def test_off_rolls_back_at_a_clean_end_at_the_top(diary: Diary) -> None:
    with transaction(commit_mode=CommitMode.OFF) as txn:
        diary.work("a")
        diary.work("b")
    assert diary.lines == ["run a", "run b", "rollback b", "rollback a"]
    assert txn.is_rolled_back()


def test_off_commits_when_told(diary: Diary) -> None:
    with transaction(commit_mode=CommitMode.OFF) as txn:
        diary.work("a")
        assert txn.commit()
    assert diary.lines == ["run a", "commit a"]


def test_nested_transactions_commit_children_first_in_start_order(diary: Diary) -> None:
    with transaction() as outer:
        diary.work("a")
        with transaction() as inner:
            diary.work("b")
            diary.work("c")
            inner.stage(None, on_commit_hooks=[diary.note("commit inner")])
        diary.work("d")
        outer.stage(None, on_commit_hooks=[diary.note("commit outer")])
        assert inner.is_staged()
    assert diary.lines[4:] == ["commit a", "commit b", "commit c", "commit inner", "commit d", "commit outer"]


def test_rollback_runs_own_hooks_in_reverse_and_then_children_in_reverse(diary: Diary) -> None:
    with pytest.raises(ValueError, match="late"), transaction() as outer:
        diary.work("a")
        with transaction():
            diary.work("b")
            diary.work("c")
        outer.stage(None, on_rollback_hooks=[diary.note("own 1"), diary.note("own 2")])
        raise ValueError("late")
    assert diary.lines[3:] == ["own 2", "own 1", "rollback c", "rollback b", "rollback a"]


def test_without_an_enclosing_transaction_each_commits_by_itself(diary: Diary) -> None:
    diary.work("a")
    with pytest.raises(ValueError, match="b failed"):
        diary.work("b", fails=True)
    assert diary.lines == ["run a", "commit a", "run b"]


def test_async_transactions_keep_the_same_order_with_hooks_of_both_kinds() -> None:
    lines: list[str] = []

    async def later(txn: Any) -> None:
        await asyncio.sleep(0)
        lines.append("async hook")

    async def work(name: str, fails: bool = False) -> None:
        async with AsyncTransaction() as txn:
            lines.append(f"run {name}")
            if fails:
                raise ValueError(name)
            txn.stage(None, on_rollback_hooks=[lambda txn: lines.append(f"rollback {name}"), later])

    async def main() -> None:
        async with atransaction():
            await work("a")
            await work("b", fails=True)

    with pytest.raises(ValueError, match="b"):
        asyncio.run(main())
    assert lines == ["run a", "run b", "async hook", "rollback a"]


def test_async_hook_in_a_blocking_transaction_is_waited_for() -> None:
    lines: list[str] = []

    async def hook(txn: Any) -> None:
        await asyncio.sleep(0)
        lines.append("committed")

    with transaction() as txn:
        txn.stage(None, on_commit_hooks=[hook])
    assert lines == ["committed"]


def test_async_transaction_refuses_plain_with() -> None:
    with pytest.raises(NotImplementedError, match="async with"), AsyncTransaction():
        pass


# --- failures that were caught -------------------------------------------------------------------------------------------


def test_caught_failure_rolls_back_at_once_and_is_raised_at_the_end(diary: Diary) -> None:
    with pytest.raises(TransactionRolledBack, match="b failed") as caught, transaction() as txn:
        diary.work("a")
        try:
            diary.work("b", fails=True)
        except ValueError:
            diary.lines.append("caught")
        diary.work("c")
    assert diary.lines == ["run a", "run b", "rollback a", "caught", "run c", "rollback c"]
    assert isinstance(caught.value.__cause__, ValueError)
    assert txn.is_rolled_back()


def test_code_that_asked_about_the_rollback_ends_quietly(diary: Diary) -> None:
    with transaction() as txn:
        try:
            diary.work("a", fails=True)
        except ValueError:
            assert txn.is_rolled_back()


def test_inner_failure_rolls_back_every_enclosing_transaction(diary: Diary) -> None:
    with pytest.raises(ValueError, match="c failed"), transaction():
        diary.work("a")
        with transaction():
            diary.work("b")
            diary.work("c", fails=True)
    assert diary.lines == ["run a", "run b", "run c", "rollback b", "rollback a"]


def test_every_rollback_hook_runs_and_the_errors_are_logged_together(diary: Diary, caplog: pytest.LogCaptureFixture) -> None:
    def broken(txn: Any) -> None:
        raise OSError("disk on fire")

    with pytest.raises(ValueError, match="boom"), transaction() as txn:
        diary.work("a")
        txn.stage(None, on_rollback_hooks=[diary.note("first"), broken, diary.note("last")])
        raise ValueError("boom")
    assert diary.lines == ["run a", "last", "first", "rollback a"]
    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.exc_info is not None
    group = record.exc_info[1]
    assert isinstance(group, ExceptionGroup)
    assert [str(error) for error in group.exceptions] == ["disk on fire"]


# --- all or nothing ------------------------------------------------------------------------------------------------------


def test_a_failing_commit_hook_undoes_the_group_and_leaves_no_record(diary: Diary, store: ResultStore) -> None:
    def broken(txn: Any) -> None:
        raise RuntimeError("hook failed")

    with pytest.raises(TransactionRolledBack, match="hook failed"), transaction():
        diary.work("a", key="key-a", store=store)
        with Transaction(key="key-b", store=store) as txn:
            txn.stage(2, on_commit_hooks=[broken], on_rollback_hooks=[diary.note("rollback b")])
    assert diary.lines == ["run a", "commit a", "rollback b", "rollback a"]
    assert not store.exists("key-a")
    assert not store.exists("key-b")


def test_a_value_that_cannot_be_stored_keeps_the_whole_group_out(diary: Diary, store: ResultStore) -> None:
    with pytest.raises(TransactionRolledBack, match="task 'b', of type 'lock'") as caught, transaction():
        diary.work("a", key="key-a", store=store)
        diary.work("b", key="key-b", store=store, value=threading.Lock())
    assert "persist_result=False" in str(caught.value.__cause__)
    assert diary.lines == ["run a", "run b", "rollback b", "rollback a"]
    assert not store.exists("key-a")


def test_a_failing_write_removes_what_was_written_before(diary: Diary, store: ResultStore) -> None:
    class Full:
        def read_path(self, path: str) -> bytes:
            raise FileNotFoundError(path)

        def write_path(self, path: str, content: bytes) -> None:
            raise OSError("no space left")

    full = ResultStore(result_storage=Full())
    with pytest.raises(TransactionRolledBack, match="no space left"), transaction():
        diary.work("a", key="key-a", store=store)
        diary.work("b", key="key-b", store=full)
    assert not store.exists("key-a")
    assert diary.lines[-2:] == ["rollback b", "rollback a"]


def test_a_single_transaction_whose_value_cannot_be_stored_warns_and_goes_on(store: ResultStore, caplog: pytest.LogCaptureFixture) -> None:
    with Transaction(key="k", store=store, label="task 'Load'") as txn:
        txn.stage(threading.Lock())
    assert txn.is_rolled_back()
    assert "task 'Load', of type 'lock'" in str(txn.failure)
    assert "Task 'Load' could not be committed" in caplog.text


# --- records -------------------------------------------------------------------------------------------------------------


def test_a_keyed_block_runs_once_over_two_runs(store: ResultStore) -> None:
    runs: list[int] = []
    for number in (1, 2):
        with transaction(key="once", store=store) as txn:
            if not txn.is_committed():
                runs.append(number)
    assert runs == [1]


def test_overwrite_runs_again(store: ResultStore) -> None:
    for number in (1, 2):
        with transaction(key="k", store=store, overwrite=True) as txn:
            assert not txn.is_committed()
            txn.stage(number)
    assert store.read("k").result == 2


def test_write_on_commit_false_leaves_no_record(store: ResultStore) -> None:
    with transaction(key="k", store=store, write_on_commit=False) as txn:
        pass
    assert txn.is_committed()
    assert not store.exists("k")


def test_read_returns_the_record_of_an_earlier_run(store: ResultStore) -> None:
    store.write({"answer": 42}, key="k")
    with transaction(key="k", store=store) as txn:
        record = txn.read()
        assert record is not None
        assert record.result == {"answer": 42}


def test_rolled_back_block_leaves_no_record_and_runs_again(store: ResultStore) -> None:
    with pytest.raises(ValueError, match="x"), transaction(key="k", store=store):
        raise ValueError("x")
    with transaction(key="k", store=store) as txn:
        assert not txn.is_committed()


def test_children_of_a_block_that_was_committed_before_commit_by_themselves(diary: Diary, store: ResultStore) -> None:
    store.write(None, key="k")
    with transaction(key="k", store=store):
        diary.work("a")
        diary.lines.append("end")
    assert diary.lines == ["run a", "commit a", "end"]


def test_discarded_attempt_leaves_the_parent_untouched(diary: Diary) -> None:
    with transaction() as outer:
        attempt = Transaction()
        attempt.__enter__()
        attempt.stage(1, on_rollback_hooks=[diary.note("rollback attempt")])
        from headrace.client.bridge import drive

        drive(attempt.discard())
        assert get_transaction() is outer
        diary.work("a")
    assert diary.lines == ["run a", "commit a"]
    assert outer.is_committed()


@pytest.mark.parametrize("answer", ["raise", "warn"])
def test_an_unreadable_store_is_not_taken_for_an_empty_one(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def read_path(self, path: str) -> bytes:
            raise PermissionError("denied")

        def write_path(self, path: str, content: bytes) -> None: ...

    txn = Transaction(key="k", store=ResultStore(result_storage=Broken()), lookup_errors=answer, label="task 't'")
    if answer == "raise":
        with pytest.raises(Exception, match="could not be read at 'k': PermissionError: denied"), txn:
            pass
        assert get_transaction() is None
    else:
        with txn:
            assert txn.is_active()
        assert "No earlier result of task 't' could be looked for" in caplog.text


# --- values --------------------------------------------------------------------------------------------------------------


def test_values_are_found_in_parents_and_given_as_copies() -> None:
    with transaction() as parent:
        parent.set("numbers", [1])
        with transaction() as child:
            mine = child.get("numbers")
            mine.append(2)
            assert child.get("numbers") == [1]
            child.set("numbers", mine)
            assert child.get("numbers") == [1, 2]
        assert parent.get("numbers") == [1]


def test_unknown_value_is_an_error_unless_there_is_a_default() -> None:
    with transaction() as txn:
        txn.set("filename", "x")
        with pytest.raises(ValueError, match=r"unknown key: 'filenam'\. Did you mean 'filename'"):
            txn.get("filenam")
        assert txn.get("missing", None) is None


def test_rollback_hook_reads_what_the_parent_keeps() -> None:
    seen: list[str] = []
    with pytest.raises(ValueError, match="x"), transaction() as txn:
        txn.set("filename", "side-effect.txt")
        with Transaction() as child:
            child.stage(None, on_rollback_hooks=[lambda t: seen.append(t.get("filename"))])
        raise ValueError("x")
    assert seen == ["side-effect.txt"]


# --- isolation -----------------------------------------------------------------------------------------------------------


def test_serializable_without_a_lock_manager_is_refused(tmp_path: Path) -> None:
    from headrace.model.errors import ConfigurationError

    plain = ResultStore(result_storage=tmp_path)
    with pytest.raises(ConfigurationError, match="lock manager"), transaction("k", plain, isolation_level=IsolationLevel.SERIALIZABLE):
        pass
    with transaction(store=plain, isolation_level=IsolationLevel.SERIALIZABLE):
        pass  # without a key there is nothing to lock


def test_two_threads_with_one_key_run_the_body_once(store: ResultStore) -> None:
    ran: list[str] = []
    ready = threading.Barrier(2)

    def work() -> None:
        ready.wait()
        with transaction("shared", store, isolation_level=IsolationLevel.SERIALIZABLE) as txn:
            if not txn.is_committed():
                ran.append(threading.current_thread().name)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 1
    assert not store.is_locked("shared")


def test_coroutines_with_one_key_run_the_body_once(store: ResultStore) -> None:
    ran: list[int] = []

    async def work(number: int) -> None:
        async with atransaction("shared", store, isolation_level=IsolationLevel.SERIALIZABLE) as txn:
            if not txn.is_committed():
                await asyncio.sleep(0.01)
                ran.append(number)

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(30)))

    asyncio.run(main())
    assert len(ran) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_lock_is_released_at_the_end(store: ResultStore, fails: bool) -> None:
    def run() -> Generator[None, None, None]:
        with transaction("k", store, isolation_level=IsolationLevel.SERIALIZABLE):
            assert store.is_locked("k")
            yield
            if fails:
                raise ValueError("x")

    if fails:
        with pytest.raises(ValueError, match="x"):
            list(run())
    else:
        list(run())
    assert not store.is_locked("k")


def test_child_with_the_key_of_its_parent_does_not_wait_for_it(store: ResultStore) -> None:
    with transaction("k", store, isolation_level=IsolationLevel.SERIALIZABLE):
        with transaction("k", store):
            pass
    assert store.exists("k")
    assert not store.is_locked("k")


def test_code_in_the_block_reads_and_writes_what_its_transaction_locked(store: ResultStore) -> None:
    with transaction("k", store, isolation_level=IsolationLevel.SERIALIZABLE):
        assert not store.exists("k")
        store.write("draft", key="k")
        with transaction():
            assert store.read("k").result == "draft"


# --- threads -------------------------------------------------------------------------------------------------------------


def submit(pool: ThreadPoolExecutor, fn: Callable[..., Any], *args: Any) -> Any:
    return pool.submit(copy_context().run, fn, *args)


def test_work_in_threads_joins_the_transaction_of_its_context(diary: Diary) -> None:
    with ThreadPoolExecutor(4) as pool, transaction():
        for future in [submit(pool, diary.work, name) for name in "ab"]:
            future.result()
        diary.lines.append("end")
    assert diary.lines[-3:] in (["end", "commit a", "commit b"], ["end", "commit b", "commit a"])


def test_failure_in_a_thread_rolls_the_transaction_back_though_nobody_asked_for_its_result(diary: Diary) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(TransactionRolledBack, match="b failed"), transaction() as txn:
        diary.work("a")
        assert submit(pool, diary.work, "b", True).exception() is not None
        assert txn.state.value == "ROLLED_BACK"
    assert diary.lines == ["run a", "run b", "rollback a"]


@pytest.mark.parametrize(("fails", "expected"), [(False, "commit late"), (True, "rollback late")])
def test_work_that_ends_after_its_transaction_follows_its_fate(diary: Diary, fails: bool, expected: str) -> None:
    started, go = threading.Event(), threading.Event()

    def late() -> None:
        with Transaction() as txn:
            started.set()
            go.wait()
            txn.stage(None, on_rollback_hooks=[diary.note("rollback late")], on_commit_hooks=[diary.note("commit late")])

    with ThreadPoolExecutor(1) as pool:
        try:
            with transaction():
                future = submit(pool, late)
                started.wait()
                if fails:
                    raise ValueError("x")
        except ValueError:
            pass
        go.set()
        future.result()
    assert diary.lines == [expected]


def test_many_threads_stage_and_commit_exactly_once(diary: Diary) -> None:
    with ThreadPoolExecutor(8) as pool, transaction():
        for future in [submit(pool, diary.work, str(number)) for number in range(200)]:
            future.result()
    commits = [line for line in diary.lines if line.startswith("commit")]
    assert sorted(commits) == sorted(f"commit {number}" for number in range(200))


def test_present_transaction_is_that_of_the_block() -> None:
    assert get_transaction() is None
    with transaction() as outer:
        assert get_transaction() is outer
        with transaction() as inner:
            assert get_transaction() is inner
            assert inner.get_parent() is outer
        assert get_transaction() is outer
    assert get_transaction() is None
