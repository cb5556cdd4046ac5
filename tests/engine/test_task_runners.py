"""Task runners: width, nesting, context, the end of the flow, cancelling, processes."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from engine.modes import Program, Stored
from headrace import flow, tags, task
from headrace.futures import wait
from headrace.task_runners import ConcurrentTaskRunner, ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from headrace.utilities.annotations import quote

SECONDS_MAX = 10


@task
def give(x: Any) -> Any:
    return x


@task
def held(gate: threading.Event) -> None:
    assert gate.wait(SECONDS_MAX)


class Gauge:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.full = threading.Semaphore(0)

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.full.release()

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1


def test_names_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    assert ConcurrentTaskRunner is ThreadPoolTaskRunner
    assert ThreadPoolTaskRunner().max_workers == sys.maxsize
    assert ProcessPoolTaskRunner().max_workers == os.cpu_count()
    assert ThreadPoolTaskRunner(max_workers=3).duplicate() == ThreadPoolTaskRunner(max_workers=3)
    monkeypatch.setenv("HEADRACE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS", "5")
    monkeypatch.setenv("HEADRACE_TASKS_RUNNER_PROCESS_POOL_MAX_WORKERS", "6")
    from headrace.settings.in_force import process

    process.context = None
    assert (ThreadPoolTaskRunner().max_workers, ProcessPoolTaskRunner().max_workers) == (5, 6)


@pytest.mark.parametrize("kind", [ThreadPoolTaskRunner, ProcessPoolTaskRunner])
def test_width_must_be_positive(kind: Any) -> None:
    with pytest.raises(ValueError, match="max_workers"):
        kind(max_workers=0)


@pytest.mark.parametrize("kind", [ThreadPoolTaskRunner, ProcessPoolTaskRunner])
def test_runner_must_be_entered_once(kind: Any) -> None:
    runner = kind(max_workers=1)
    with pytest.raises(RuntimeError, match="not started"):
        runner.submit(give, {"x": 1})
    with runner, pytest.raises(RuntimeError, match="already started"):
        runner.__enter__()


def test_runner_can_be_used_by_itself() -> None:
    with ThreadPoolTaskRunner() as runner:
        assert runner.submit(give, {"x": 1}).result() == 1
        assert runner.map(give, {"x": [1, 2]}).result() == [1, 2]
        last = runner.submit(give, {"x": runner.submit(give, {"x": 3})})
    assert last.result(timeout=0) == 3


@pytest.mark.parametrize("width", [1, 3])
def test_bounded_pool_is_used_to_its_bound_and_never_beyond(width: int) -> None:
    gauge, gate = Gauge(), threading.Event()

    @task
    def work(x: int) -> None:
        with gauge:
            assert gate.wait(SECONDS_MAX)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=width))
    def bounded() -> None:
        futures = work.map(range(10))
        for _ in range(width):
            assert gauge.full.acquire(timeout=SECONDS_MAX)
        gate.set()
        futures.wait()

    bounded()
    assert gauge.most == width


def test_unbounded_pool_grows_for_tasks_that_wait() -> None:
    count = 40
    everybody = threading.Barrier(count)

    @task
    def work(x: int) -> int:
        everybody.wait(SECONDS_MAX)
        return x

    @flow
    def unbounded() -> list[int]:
        return work.map(range(count)).result()

    assert unbounded() == list(range(count))


def test_task_is_not_kept_waiting_behind_one_that_blocks() -> None:
    """Two submissions while one thread is free: the second must not wait for the first."""
    for _ in range(5):
        gate = threading.Event()

        @task
        def opens(gate: threading.Event) -> None:
            gate.set()

        @flow
        def work() -> set[object]:
            give.submit(0).wait()
            return wait([held.submit(quote(gate)), opens.submit(quote(gate))]).not_done  # noqa: B023

        assert work() == set()


@pytest.mark.parametrize("depth", [1, 3])
def test_nested_submission_on_a_pool_of_one_does_not_deadlock(depth: int) -> None:
    @task
    def down(n: int) -> int:
        return 0 if n == 0 else 1 + down.submit(n - 1).result()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def work() -> list[int]:
        return down.map([depth, depth]).result()

    assert work() == [depth, depth]


def test_submitted_runs_end_before_the_flow_does(stored: Stored) -> None:
    gate = threading.Event()

    @task
    def opens() -> None:
        gate.set()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def work() -> None:
        held.submit(quote(gate))
        for _ in range(5):
            give.submit(1)
        opens.submit()

    work()
    runs = stored.task_runs()
    assert len(runs) == 7 and {run.state.name for run in runs} == {"Completed"}
    assert max(run.end_time for run in runs) <= stored.flow_run().end_time


def test_runs_behind_others_are_not_lost_at_the_end_of_the_flow(stored: Stored) -> None:
    gate = threading.Event()

    @task
    def first() -> None:
        assert gate.wait(SECONDS_MAX)

    @task
    def after(x: Any) -> None: ...

    @task
    def submits_late(x: Any) -> None:
        give.submit(1)

    @flow
    def work() -> None:
        future = first.submit()
        after.submit(after.submit(future))
        submits_late.submit(future)
        threading.Timer(0.05, gate.set).start()

    work()
    assert sorted(run.name for run in stored.task_runs() if run.state.name == "Completed") == [
        "after-0", "after-1", "first-0", "give-0", "submits_late-0",
    ]  # fmt: skip


def test_threads_end_with_the_flow() -> None:
    @flow
    def work() -> None:
        give.map(range(20)).wait()

    work()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("headrace-task")]


def test_one_flow_runs_in_several_threads_at_once(stored: Stored) -> None:
    both = threading.Barrier(2)

    @task
    def meet() -> None:
        both.wait(SECONDS_MAX)

    @flow
    def work() -> None:
        meet.submit().result()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX)
    assert [run.state.name for run in stored.flow_runs()] == ["Completed"] * 2


def test_context_goes_along_into_threads() -> None:
    from headrace.runtime import flow_run, task_run

    @task
    def look() -> Any:
        return flow_run.name, task_run.name, sorted(task_run.tags)

    @flow(flow_run_name="the-flow")
    def work() -> Any:
        with tags("x"):
            future = look.submit()
        return future.result()

    assert work() == ("the-flow", "look-0", ["x"])


def test_async_tasks_each_get_a_loop_in_a_thread() -> None:
    @task
    async def loop() -> int:
        await asyncio.sleep(0)
        return id(asyncio.get_running_loop())

    @flow
    async def work() -> Any:
        return await loop() == id(asyncio.get_running_loop()), loop.submit().result() == id(asyncio.get_running_loop())

    assert asyncio.run(work()) == (True, False)


def test_waiting_for_submitted_runs_at_the_end_leaves_the_loop_to_others() -> None:
    gate = threading.Event()

    @flow
    async def first() -> None:
        held.submit(quote(gate))

    @flow
    async def second() -> None:
        await asyncio.sleep(0)
        gate.set()

    async def both() -> list[bool]:
        states = await asyncio.gather(first(return_state=True), second(return_state=True))
        return [state.is_completed() for state in states]

    assert asyncio.run(both()) == [True, True]


def test_cancel_all_records_what_has_not_begun(stored: Stored) -> None:
    gate = threading.Event()
    begun = threading.Event()

    @task
    def first(gate: threading.Event) -> str:
        begun.set()
        assert gate.wait(SECONDS_MAX)
        return "ended"

    with ThreadPoolTaskRunner(max_workers=1) as runner:
        running = runner.submit(first, {"gate": quote(gate)})
        assert begun.wait(SECONDS_MAX)
        queued = [runner.submit(give, {"x": 1}), runner.submit(give, {"x": running})]
        runner.cancel_all()
        assert queued[0].state.name == "Cancelled"
        gate.set()
    assert running.result() == "ended"
    assert [future.state.name for future in queued] == ["Cancelled"] * 2
    assert sorted(run.state.name for run in stored.task_runs()) == ["Cancelled", "Cancelled", "Completed"]


def test_flow_that_is_interrupted_cancels_what_has_not_begun(stored: Stored) -> None:
    gate, begun = threading.Event(), threading.Event()

    @task
    def first(gate: threading.Event) -> None:
        begun.set()
        gate.wait(SECONDS_MAX)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def work() -> None:
        first.submit(quote(gate))
        give.submit(1)
        assert begun.wait(SECONDS_MAX)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    states = {run.name: run.state.name for run in stored.task_runs()}
    gate.set()
    assert states == {"first-0": "Crashed", "give-0": "Cancelled"}
    assert stored.flow_run().state.name == "Crashed"


def test_a_runner_of_ones_own() -> None:
    class Inline(TaskRunner[Any]):
        def duplicate(self) -> Any:
            return Inline()

        def submit(self, task: Any, parameters: Any, wait_for: Any = None, dependencies: Any = None) -> Any:
            from concurrent.futures import Future

            self.require_started()
            return ThreadPoolTaskRunner(1).__enter__().submit(task, parameters, wait_for) or Future()

    @flow(task_runner=Inline)
    def work() -> Any:
        return give.submit(3).result(), give.map([1, 2]).result()

    assert work() == (3, [1, 2])


PROCESSES = """
    import os, sys
    from headrace import flow, task, get_run_logger, tags, unmapped
    from headrace.task_runners import ProcessPoolTaskRunner

    @task
    def where(x):
        get_run_logger().info("in the child %s", x)
        return os.getpid()

    @task
    def double(x):
        return x * 2

    @task
    def bad():
        raise ValueError("in the child")

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def work():
        import threading
        with tags("x"):
            assert where.submit(1).result() != os.getpid()
        assert double.submit(double.submit(2)).result() == 8
        try:
            bad.submit().result()
        except ValueError as error:
            assert str(error) == "in the child"
        else:
            raise AssertionError
        state = double.submit(threading.Lock(), return_state=True)
        assert state.is_failed() and "pickled" in state.message, state
        assert double.map([1, 2]).result() == [2, 4]
        return "good"

    if __name__ == "__main__":
        print(work())
"""


def test_processes(program: Any, stored: Stored) -> None:
    one: Program = program(PROCESSES)
    done = one.run()
    assert done.stdout == "good\n", done.stderr
    assert "in the child 1" in stored.logs()
    assert stored.task_run("where-0").tags == ["x"]
    assert stored.task_history("double-0") == ["Pending", "Running", "Completed"]
    assert stored.flow_run().state.name == "Completed"
