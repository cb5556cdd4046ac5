"""Tasks in the background: submitted here, run by a task worker."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest

from headrace import allow_failure, flow, tags, task, unmapped
from headrace.cache_policies import NO_CACHE
from headrace.client.bridge import drive
from headrace.client.connect import current_client, forget_client
from headrace.client.spool import close_process_spool
from headrace.exceptions import ConfigurationError, ObjectNotFound, SerializationError, UpstreamTaskError
from headrace.futures import HeadraceDistributedFuture, as_completed, wait
from headrace.model.endpoints.task_runs import FILTER_TASK_RUNS, READ_TASK_RUN
from headrace.model.run_queries import TaskRunQuery
from headrace.runtime import flow_run
from headrace.settings.in_force import process
from headrace.store.database import Database
from headrace.task_runners import HeadraceTaskRunner
from headrace.task_worker import TaskWorker, serve
from headrace.testing.server import free_port, running_server

SECONDS = 20


@contextmanager
def working(*tasks: Any, **options: Any) -> Generator[TaskWorker, None, None]:
    """Have a task worker work beside the test."""
    worker = TaskWorker(*tasks, **options)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            worker.start()
        except BaseException as error:  # told below
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert not failures


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task
async def add_later(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


@task
def fail(text: str) -> None:
    raise ValueError(text)


@pytest.fixture(autouse=True)
def _api(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """Serve the test's database from this process, except to tests of what is said without a server."""
    if "embedded" in request.keywords:
        yield
        return
    with running_server(Database(f"sqlite:///{home.parent / 'server.db'}")) as url:
        monkeypatch.setenv("HEADRACE_API_URL", url)
        process.context = process.chosen_profile = None
        yield
        close_process_spool()
        forget_client()


def runs() -> list[Any]:
    return drive(current_client().call(FILTER_TASK_RUNS, TaskRunQuery()))


def test_a_delayed_task_returns_its_value_to_the_submitter() -> None:
    future = add.delay(1, y=2)
    assert isinstance(future, HeadraceDistributedFuture)
    assert future.state.name == "Scheduled"
    with working(add):
        assert future.result(timeout=SECONDS) == 3
    assert future.state.is_completed()


def test_async_and_generator_tasks_and_those_without_cache_run_too() -> None:
    @task(cache_policy=NO_CACHE)
    def numbers(count: int) -> Any:
        yield from range(count)

    @task(retries=1)
    async def tenfold(count: int) -> Any:
        for number in range(count):
            yield number * 10

    @task
    def fails() -> Any:
        yield 1
        raise ValueError("no more")

    first, second, third, fourth = add_later.delay(1), numbers.delay(3), tenfold.delay(2), fails.delay()
    with working(add_later, numbers, tenfold, fails):
        assert first.result(timeout=SECONDS) == 2
        assert second.result(timeout=SECONDS) == [0, 1, 2]
        assert third.result(timeout=SECONDS) == [0, 10]
        with pytest.raises(ValueError, match="no more"):
            fourth.result(timeout=SECONDS)
    assert second.state.is_completed()


def test_a_failure_is_raised_to_the_submitter() -> None:
    future = fail.delay("no")
    with working(fail):
        with pytest.raises(ValueError, match="no"):
            future.result(timeout=SECONDS)
        assert isinstance(future.result(raise_on_failure=False), ValueError)


def test_a_worker_keeps_to_its_limit() -> None:
    lock, now, most = threading.Lock(), 0, 0
    gate = threading.Barrier(4)

    @task(cache_policy=NO_CACHE)
    def count(number: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(SECONDS)  # four at once, no fewer
        with lock:
            now -= 1
        return number

    futures = [count.delay(number) for number in range(20)]
    with working(count, limit=4) as worker:
        assert [future.result(timeout=SECONDS) for future in futures] == list(range(20))
        assert worker.limit == 4
    assert most <= 4


def test_two_workers_share_runs_and_run_each_once() -> None:
    begun: list[int] = []

    @task(cache_policy=NO_CACHE)
    def note(number: int) -> None:
        begun.append(number)

    with working(note), working(note):
        futures = note.map(list(range(20)), deferred=True)
        wait(futures, timeout=SECONDS)
    assert sorted(begun) == list(range(20))


def test_a_deferred_map_keeps_order_and_constants() -> None:
    with working(add):
        assert add.map([1, 2, 3], y=unmapped(10), deferred=True).result(timeout=SECONDS) == [11, 12, 13]


def test_arguments_may_be_runs_in_the_background() -> None:
    first = add.delay(1)
    second = add.delay(first, y=first)
    with working(add, limit=1):
        assert second.result(timeout=SECONDS) == 4
    kept = drive(current_client().call(READ_TASK_RUN, id=second.task_run_id))
    assert [source.id for source in kept.task_inputs["x"]] == [first.task_run_id]


def test_a_run_that_waits_takes_nobodys_place() -> None:
    @task(cache_policy=NO_CACHE)
    def first() -> str:
        return "first"

    @task(cache_policy=NO_CACHE)
    def second(_: Any) -> str:
        return "second"

    upstream = first.delay()
    waiting = second.delay(upstream)
    other = second.delay(None)
    with working(second, limit=1):
        assert other.result(timeout=SECONDS) == "second"
        with working(first):
            assert waiting.result(timeout=SECONDS) == "second"


def test_a_run_after_one_that_failed_does_not_begin() -> None:
    bad = fail.delay("no")
    after = add.apply_async((1,), wait_for=[bad])
    despite = add.apply_async((1,), wait_for=[allow_failure(bad)])
    with working(add, fail):
        assert despite.result(timeout=SECONDS) == 2
        with pytest.raises(UpstreamTaskError):
            after.result(timeout=SECONDS)


def test_a_flow_hands_its_tasks_to_task_workers() -> None:
    @task(cache_policy=NO_CACHE)
    def where() -> Any:
        return flow_run.name

    @flow(task_runner=HeadraceTaskRunner(), flow_run_name="the-parent")
    def parent() -> Any:
        here = add.submit(1)
        return where.submit().result(), add.submit(here, y=here).result(), add.delay(5).result()

    with working(add, where):
        assert parent() == ("the-parent", 4, 6)


def test_tags_and_names_travel() -> None:
    @task(tags=["own"], task_run_name="of-{number}", cache_policy=NO_CACHE)
    def tagged(number: int) -> None: ...

    with tags("given"):
        future = tagged.delay(3)
    with working(tagged):
        future.wait(timeout=SECONDS)
    kept = drive(current_client().call(READ_TASK_RUN, id=future.task_run_id))
    assert (kept.name, sorted(kept.tags), kept.run_count) == ("of-3", ["given", "own"], 1)


def test_retries_and_callbacks_and_completion_order() -> None:
    tries: list[int] = []

    @task(retries=1, cache_policy=NO_CACHE)
    def flaky() -> int:
        tries.append(1)
        if len(tries) < 2:
            raise RuntimeError("again")
        return len(tries)

    called = threading.Event()
    future = flaky.delay()
    future.add_done_callback(lambda _: called.set())
    with working(flaky):
        assert [one.result() for one in as_completed([future], timeout=SECONDS)] == [2]
        assert called.wait(SECONDS)


def test_futures_can_be_awaited_and_pickled() -> None:
    future = pickle.loads(pickle.dumps(add.delay(1)))

    async def body() -> Any:
        return await future.result_async(timeout=SECONDS)

    asyncio.run(future.wait_async(timeout=0))
    assert not future.done
    with working(add):
        assert asyncio.run(body()) == 2


def test_a_future_of_a_run_that_does_not_exist_says_so() -> None:
    with pytest.raises(ObjectNotFound, match="does not exist"):
        HeadraceDistributedFuture(uuid4()).result(timeout=SECONDS)


def test_arguments_that_cannot_travel_leave_no_run() -> None:
    with pytest.raises(SerializationError, match="another process"):
        add.delay(threading.Lock())
    assert runs() == []


def test_a_run_whose_parameters_are_gone_is_deleted(home: Any) -> None:
    future = add.delay(1)
    for stored in (home / "storage" / "parameters").iterdir():
        stored.unlink()
    with working(add), pytest.raises(ObjectNotFound):
        future.result(timeout=SECONDS)
    assert runs() == []


def test_the_status_page_tells_what_the_worker_does() -> None:
    port = free_port()
    running, goes_on = threading.Event(), threading.Event()

    @task(cache_policy=NO_CACHE)
    def long() -> None:
        running.set()
        assert goes_on.wait(SECONDS)

    worker = TaskWorker(long, limit=3)
    thread = threading.Thread(target=worker.start, kwargs={"status_server_port": port})
    future = long.delay()
    thread.start()
    assert running.wait(SECONDS)
    with urlopen(f"http://127.0.0.1:{port}/status") as answer:
        status = json.load(answer)
    goes_on.set()
    future.wait(SECONDS)
    worker.stop()
    thread.join(SECONDS)
    assert (status["limit"], status["current"], status["available"], status["stopping"]) == (3, 1, 2, False)
    assert status["in_flight"] == [str(future.task_run_id)]
    assert status["tasks"] == [long.task_key]


def test_a_stopped_worker_finishes_what_has_begun() -> None:
    running, goes_on = threading.Event(), threading.Event()

    @task(cache_policy=NO_CACHE)
    def long() -> str:
        running.set()
        assert goes_on.wait(SECONDS)
        return "done"

    future = long.delay()
    with working(long) as worker:
        assert running.wait(SECONDS)
        worker.stop()
        later = long.delay()
        goes_on.set()
    assert future.result(timeout=SECONDS) == "done"
    assert later.state.name == "Scheduled"


def test_serving_ends_after_its_timeout() -> None:
    served = threading.active_count()
    serve(add, timeout=0.1)
    add.serve(timeout=0.1)
    assert threading.active_count() <= served
    assert add.delay(1, 2).state.name == "Scheduled"  # nobody takes it any more


@pytest.mark.embedded
def test_without_a_server_it_says_that_one_is_needed() -> None:
    with pytest.raises(ConfigurationError, match=r"Running the task 'add' in the background needs a server.*headrace server start"):
        add.delay(1)
    with pytest.raises(ValueError, match="headrace server start"):
        serve(add)


@pytest.mark.embedded
def test_wrong_use_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="at least one task"):
        TaskWorker()
    with pytest.raises(TypeError, match="serves tasks"):
        TaskWorker(len)  # pyright: ignore[reportArgumentType]  # wrong on purpose
    with pytest.raises(ValueError, match="limit must be 1 or more"):
        TaskWorker(add, limit=0)
