"""Kept results, caching and transactions as they come through the engine."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.modes import Mode, Program, Stored
from headrace import flow, task
from headrace.cache_policies import DEFAULT, INPUTS, NO_CACHE, CacheKeyFnPolicy
from headrace.exceptions import ConfigurationError, SerializationError
from headrace.filesystems import LocalFileSystem
from headrace.locking.memory import MemoryLockManager
from headrace.results import ResultStore
from headrace.transactions import CommitMode, IsolationLevel, get_transaction, transaction


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle this")


def files(home: Path) -> list[str]:
    folder = home / "storage"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- whether and where ----------------------------------------------------------------------------------------------------------


def test_nothing_is_kept_by_default(mode: Mode, home: Path) -> None:
    @mode.task
    async def part() -> int:
        return 1

    @mode.flow
    async def work() -> int:
        return await mode.call(part)

    mode.run(work)
    assert files(home) == []


@pytest.mark.parametrize(
    ("own", "of_flow", "default", "kept"),
    [
        (None, None, None, False),
        (None, True, None, True),
        (False, True, None, False),
        (True, False, None, True),
        (None, None, "HEADRACE_RESULTS_PERSIST_BY_DEFAULT", True),
        (None, None, "HEADRACE_TASKS_DEFAULT_PERSIST_RESULT", True),
        (None, False, "HEADRACE_RESULTS_PERSIST_BY_DEFAULT", False),
    ],
)
def test_who_decides_whether_a_task_keeps_its_result(
    monkeypatch: pytest.MonkeyPatch, stored: Stored, own: Any, of_flow: Any, default: Any, kept: bool
) -> None:
    if default is not None:
        monkeypatch.setenv(default, "true")

    @task(persist_result=own)
    def part() -> int:
        return 1

    @flow(persist_result=of_flow)
    def work() -> None:
        part()

    work()
    assert (stored.task_run().state.data is not None) is kept


def test_result_storage_key_names_the_file_for_others(stored: Stored, tmp_path: Path) -> None:
    @task(persist_result=True, result_storage_key="my-result", result_storage=LocalFileSystem(basepath=str(tmp_path / "kept")))
    def part() -> dict[str, int]:
        return {"a": 1}

    part()
    store = ResultStore(result_storage=LocalFileSystem(basepath=str(tmp_path / "kept")))
    assert store.read("my-result").result == {"a": 1}


def test_result_storage_key_is_a_template(home: Path) -> None:
    @task(result_storage_key="rk-{parameters[x]}-{flow_run.flow_name}.json", result_serializer="json")
    def part(x: int) -> dict[str, int]:
        return {"x": x}

    @flow
    def work() -> None:
        part(4)

    work()
    assert files(home) == ["rk-4-work.json"]
    assert '"result": "{\\"x\\": 4}"' in (home / "storage" / "rk-4-work.json").read_text()


def test_submitted_and_async_results_are_kept_too(mode: Mode, stored: Stored) -> None:
    @mode.task(persist_result=True)
    async def part(x: int) -> int:
        return x

    @mode.flow(persist_result=True)
    async def work() -> Any:
        return part.submit(1).result() + await mode.call(part, 2)

    assert mode.run(work) == 3
    assert [run.state.result() for run in stored.task_runs()] == [1, 2]
    assert stored.flow_run().state.result() == 3


def test_result_that_cannot_be_kept_fails_the_task_that_wants_it_kept(mode: Mode, stored: Stored) -> None:
    @mode.task(persist_result=True)
    async def part() -> Any:
        return Unpicklable()

    with pytest.raises(SerializationError, match="cannot pickle this"):
        mode.run(part)
    state = stored.task_run().state
    assert state.is_failed() and "cannot be kept" in state.message


def test_result_that_cannot_be_kept_is_warned_of_where_keeping_was_inherited(stored: Stored) -> None:
    @task
    def part() -> Any:
        return Unpicklable()

    @flow(persist_result=True)
    def work() -> str:
        return type(part()).__name__

    assert work() == "Unpicklable"
    assert stored.task_run().state.name == "Completed"
    assert "cannot pickle this" in stored.logs()


def test_flow_result_that_cannot_be_kept_fails_the_flow(stored: Stored) -> None:
    @flow(persist_result=True)
    def work() -> Any:
        return Unpicklable()

    with pytest.raises(SerializationError):
        work()
    assert stored.flow_run().state.is_failed()


# --- caching ---------------------------------------------------------------------------------------------------------------------


def test_second_call_with_the_same_inputs_is_cached(mode: Mode, stored: Stored) -> None:
    ran: list[int] = []

    @mode.task(cache_policy=INPUTS - "debug")
    async def part(x: int, debug: bool = False) -> int:
        ran.append(x)
        return x

    assert [mode.run(part, 1), mode.run(part, 1, debug=True), mode.run(part, 2)] == [1, 1, 2]
    assert ran == [1, 2]
    assert [run.state.name for run in stored.task_runs()] == ["Completed", "Cached", "Completed"]
    assert stored.task_runs()[0].cache_key == stored.task_runs()[1].cache_key


def test_default_policy_finds_within_a_run_and_not_between_runs(stored: Stored) -> None:
    ran: list[int] = []

    @task(persist_result=True)
    def part(x: int) -> int:
        ran.append(x)
        return x

    @flow
    def work() -> None:
        part(1)
        part(1)

    work()
    assert len(ran) == 1
    part(1)
    part(1)
    assert len(ran) == 3


@pytest.mark.parametrize("options", [{"cache_policy": DEFAULT, "persist_result": False}, {"cache_policy": NO_CACHE, "persist_result": True}])
def test_what_is_never_cached(options: Any) -> None:
    ran: list[int] = []

    @task(**options)
    def part() -> None:
        ran.append(1)

    @flow
    def work() -> None:
        part()
        part()

    work()
    assert len(ran) == 2


def test_expired_results_do_not_count(stored: Stored) -> None:
    from headrace.model import clock
    from headrace.testing.clock import ControlledClock

    @task(cache_policy=INPUTS, cache_expiration=timedelta(seconds=60))
    def part(x: int) -> int:
        return x

    controlled = ControlledClock()
    with clock.use(controlled):
        part(1)
        part(1)
        controlled.pass_time(61)
        part(1)
        names = [run.state.name for run in stored.task_runs()]
    assert names == ["Completed", "Cached", "Completed"]


@pytest.mark.parametrize("by_setting", [False, True])
def test_refreshing_runs_again_and_overwrites(monkeypatch: pytest.MonkeyPatch, by_setting: bool) -> None:
    from headrace.settings import temporary_settings

    ran: list[int] = []

    @task(cache_policy=INPUTS)
    def part(x: int) -> int:
        ran.append(1)
        return len(ran)

    assert part(1) == 1
    if by_setting:
        with temporary_settings({"HEADRACE_TASKS_REFRESH_CACHE": True}):
            assert part(1) == 2
    else:
        assert part.with_options(refresh_cache=True)(1) == 2
    assert part(1) == 2


def test_key_function_is_the_key(stored: Stored) -> None:
    seen: list[Any] = []

    def key(context: Any, parameters: dict[str, Any]) -> str:
        seen.append((context.task_run.name, parameters))
        return f"key-{parameters['x'] % 2}"

    @task(cache_key_fn=key)
    def part(x: int) -> int:
        return x

    assert [part(1), part(3), part(2)] == [1, 1, 2]
    assert seen[0] == ("part-0", {"x": 1})
    assert stored.task_runs()[0].cache_key == "key-1"


def test_key_that_cannot_be_computed_runs_the_task_with_a_warning(mode: Mode, stored: Stored) -> None:
    def broken(*_: Any) -> str:
        raise ZeroDivisionError("in the key")

    @mode.task(cache_key_fn=broken)
    async def part() -> int:
        return 1

    @mode.flow
    async def work() -> int:
        return await mode.call(part)

    assert mode.run(work) == 1
    assert "cache key could not be computed. ZeroDivisionError: in the key" in stored.logs()
    assert stored.task_run().state.name == "Completed"


def test_serializable_needs_a_lock_manager() -> None:
    @task(cache_policy=INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE))
    def part(x: int) -> int:
        return x

    with pytest.raises(ConfigurationError, match="lock"):
        part(1)


def test_serializable_runs_of_one_key_run_once(stored: Stored) -> None:
    ran: list[int] = []
    manager = MemoryLockManager()

    @task(cache_policy=INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=manager))
    def part(x: int) -> int:
        ran.append(x)
        return x

    @flow
    def work() -> Any:
        return [part.submit(1) for _ in range(4)]

    assert work() == [1] * 4
    assert len(ran) == 1
    assert sorted(run.state.name for run in stored.task_runs()) == ["Cached"] * 3 + ["Completed"]


def test_cache_is_shared_between_processes(program: Any, stored: Stored) -> None:
    one: Program = program("""
        from headrace import task
        from headrace.cache_policies import INPUTS

        @task(cache_policy=INPUTS)
        def part(x):
            print("ran")
            return x

        print(part(1))
    """)
    assert [one.run().stdout, one.run().stdout] == ["ran\n1\n", "1\n"]
    assert [run.state.name for run in stored.task_runs()] == ["Completed", "Cached"]


def test_own_policies_are_asked(stored: Stored) -> None:
    @task(cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda context, parameters: "mine"))
    def part() -> int:
        return 1

    part()
    assert stored.task_run().cache_key == "mine"


# --- transactions ------------------------------------------------------------------------------------------------------------------


class Journal(list[str]):
    def task(self, name: str, fails: bool = False) -> Any:
        @task(name=name)
        def part() -> str:
            self.append(f"run {name}")
            if fails:
                raise ValueError(name)
            return name

        part.on_commit(lambda _: self.append(f"commit {name}"))
        part.on_rollback(lambda _: self.append(f"rollback {name}"))
        return part


def test_tasks_of_a_transaction_commit_together_in_order() -> None:
    journal = Journal()

    @flow
    def work() -> None:
        with transaction():
            journal.task("a")()
            journal.task("b")()
            journal.append("end")

    work()
    assert journal == ["run a", "run b", "end", "commit a", "commit b"]


def test_failure_rolls_back_in_reverse_and_the_failed_task_has_nothing_to_undo(stored: Stored) -> None:
    journal = Journal()

    @flow
    def work() -> None:
        with transaction():
            journal.task("a")()
            journal.task("b")()
            journal.task("c", fails=True)()

    with pytest.raises(ValueError, match="c"):
        work()
    assert journal == ["run a", "run b", "run c", "rollback b", "rollback a"]
    assert [run.state.name for run in stored.task_runs()] == ["RolledBack", "RolledBack", "Failed"]
    assert stored.task_runs()[0].state.type == "COMPLETED"


def test_without_a_transaction_each_task_commits_at_once() -> None:
    journal = Journal()

    @flow
    def work() -> None:
        journal.task("a")()
        journal.task("b", fails=True)()

    with pytest.raises(ValueError, match="b"):
        work()
    assert journal == ["run a", "commit a", "run b"]


def test_eager_children_stay_committed() -> None:
    journal = Journal()

    @flow
    def work() -> None:
        with transaction(commit_mode=CommitMode.EAGER):
            journal.task("a")()
            journal.task("b", fails=True)()

    with pytest.raises(ValueError, match="b"):
        work()
    assert journal == ["run a", "commit a", "run b"]


def test_rolled_back_results_are_not_found_again(stored: Stored) -> None:
    ran: list[int] = []

    @task(cache_key_fn=lambda *_: "key")
    def part() -> None:
        ran.append(1)

    @flow
    def work(fails: bool) -> None:
        with transaction():
            part()
            if fails:
                raise ValueError("bad")

    work(True, return_state=True)
    work(False)
    work(False)
    assert len(ran) == 2


def test_a_retried_attempt_is_not_rolled_back() -> None:
    journal = Journal()
    tried: list[int] = []

    @task(retries=1, on_completion=[])
    def part() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError

    part.on_rollback(lambda _: journal.append("rollback"))
    part.on_commit(lambda _: journal.append("commit"))
    part()
    assert journal == ["commit"]


def test_submitted_tasks_take_part() -> None:
    journal = Journal()

    @flow
    def work() -> None:
        with transaction():
            journal.task("a").submit().wait()
            raise ValueError("bad")

    work(return_state=True)
    assert journal == ["run a", "rollback a"]


def test_transaction_hooks_of_async_tasks(mode: Mode) -> None:
    done: list[str] = []

    @mode.task
    async def part() -> None: ...

    async def later(txn: Any) -> None:
        done.append("async")

    part.on_commit(later)
    part.on_commit(lambda txn: done.append("blocking"))
    mode.run(part)
    assert done == ["async", "blocking"]


def test_values_of_a_transaction_reach_its_tasks_and_hooks() -> None:
    seen: list[Any] = []

    @task
    def part() -> None:
        found = get_transaction()
        assert found is not None
        found.set("path", "/tmp/x")
        seen.append(found.get("base"))

    part.on_rollback(lambda txn: seen.append(txn.get("path")))

    @flow
    def work() -> None:
        with transaction() as txn:
            txn.set("base", 1)
            part()
            raise ValueError("bad")

    work(return_state=True)
    assert seen == [1, "/tmp/x"]


def test_one_thread_waits_for_another_in_a_serializable_transaction(stored: Stored) -> None:
    manager = MemoryLockManager()
    inside, gate = threading.Event(), threading.Event()
    seen: list[bool] = []

    def store() -> ResultStore:
        return ResultStore(lock_manager=manager)

    def first() -> None:
        with transaction("key", store=store(), isolation_level=IsolationLevel.SERIALIZABLE) as txn:
            inside.set()
            assert gate.wait(5)
            txn.stage(1)

    def second() -> None:
        assert inside.wait(5)
        threading.Timer(0.02, gate.set).start()
        with transaction("key", store=store(), isolation_level=IsolationLevel.SERIALIZABLE) as txn:
            seen.append(txn.is_committed())

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert seen == [True]


@pytest.mark.parametrize("how", ["call", "submit", "state", "transaction"])
def test_failure_that_was_caught_still_dooms_the_transaction(stored: Stored, how: str) -> None:
    from headrace.exceptions import TransactionRolledBack

    journal = Journal()

    def fail() -> None:
        if how == "call":
            with pytest.raises(ValueError, match="bad"):
                journal.task("bad", fails=True)()
        elif how == "submit":
            journal.task("bad", fails=True).submit().wait()
        elif how == "state":
            journal.task("bad", fails=True)(return_state=True)
        else:
            with pytest.raises(ValueError, match="bad"), transaction():
                raise ValueError("bad")

    @flow
    def unaware() -> None:
        with transaction():
            journal.task("a")()
            fail()

    @flow
    def aware() -> bool:
        with transaction() as txn:
            journal.task("b")()
            fail()
            return txn.is_rolled_back()

    with pytest.raises(TransactionRolledBack):
        unaware()
    assert aware() is True
    assert [word for word in journal if "bad" not in word] == ["run a", "rollback a", "run b", "rollback b"]
    assert "A transaction is rolled back" in stored.logs()


def test_task_of_a_doomed_transaction_is_rolled_back_at_once(stored: Stored) -> None:
    journal = Journal()

    @flow
    def work() -> None:
        with transaction() as txn:
            journal.task("bad", fails=True)(return_state=True)
            journal.task("late")()
            assert txn.is_rolled_back()

    work()
    assert journal == ["run bad", "run late", "rollback late"]
    assert stored.task_run("late-0").state.name == "RolledBack"


# --- failures ----------------------------------------------------------------------------------------------------------------------


def test_exceptions_are_kept_where_results_are(mode: Mode, stored: Stored, home: Path) -> None:
    @mode.task(persist_result=True, retries=1)
    async def part() -> None:
        raise ZeroDivisionError("kept")

    @mode.flow(persist_result=True)
    async def work() -> None:
        await mode.call(part)

    with pytest.raises(ZeroDivisionError):
        mode.run(work)
    assert len(files(home)) == 2
    for run in (stored.flow_run(), stored.task_run()):
        with pytest.raises(ZeroDivisionError, match="kept"):
            run.state.result()


def test_exceptions_that_are_not_kept_are_told_by_their_message(stored: Stored, home: Path) -> None:
    from headrace.exceptions import FailedRun

    class Stubborn(Exception):
        def __reduce__(self) -> Any:
            raise TypeError("cannot pickle this")

    @flow
    def unkept() -> None:
        raise ZeroDivisionError("told")

    @flow(persist_result=True)
    def stubborn() -> None:
        raise Stubborn("told")

    for one in (unkept, stubborn):
        one(return_state=True)
    assert files(home) == []
    for run in stored.flow_runs():
        with pytest.raises(FailedRun, match="told"):
            run.state.result()


def test_a_failed_task_is_not_found_in_the_cache(stored: Stored) -> None:
    tried: list[int] = []

    @task(cache_policy=INPUTS)
    def part(x: int) -> str:
        tried.append(x)
        if len(tried) == 1:
            raise ValueError("bad")
        return "good"

    part(1, return_state=True)
    assert part(1) == "good"
    assert len(tried) == 2
