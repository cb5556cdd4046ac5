"""Holding slots of limits: in threads, in processes, blocking and async."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.concurrency.asyncio import concurrency as async_concurrency
from headrace.concurrency.asyncio import rate_limit as async_rate_limit
from headrace.concurrency.sync import concurrency, rate_limit
from headrace.concurrency.v1.sync import concurrency as v1_concurrency
from headrace.model import clock
from headrace.model.concurrency import ConcurrencyLimitCreate, ConcurrencyLimitV2Create, ConcurrencyLimitV2Update
from headrace.model.endpoints import concurrency as endpoints
from headrace.model.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from headrace.objects import slots
from headrace.objects.slots import acquire_task_slots, release
from objects.told import stored_events

pytestmark = pytest.mark.usefixtures("client")


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


def create(name: str, limit: int, **values: Any) -> None:
    call(endpoints.CREATE_LIMIT, ConcurrencyLimitV2Create(name=name, limit=limit, **values))


def active(name: str) -> int:
    return call(endpoints.READ_LIMIT, id_or_name=name).active_slots


class Later(clock.SystemClock):
    """The clock of the machine, ahead by what the test says."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    def now_us(self) -> int:
        return super().now_us() + self.ahead // timedelta(microseconds=1)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()


@pytest.fixture
def later() -> Iterator[Later]:
    with clock.use(Later()) as moved:
        yield moved  # type: ignore[misc]  # what `use` got


CRITICAL = """
import sys, time
from pathlib import Path
from headrace.concurrency.sync import concurrency
journal = Path(sys.argv[1])
for _ in range(15):
    with concurrency("one"):
        with journal.open("a") as f: f.write("in\\n")
        time.sleep(0.002)
        with journal.open("a") as f: f.write("out\\n")
"""

HOLDER = """
import sys, time
from headrace.concurrency.sync import concurrency
with concurrency("one", lease_duration=60):
    print("held", flush=True)
    time.sleep(600)
"""


def test_critical_sections_of_two_processes_never_overlap(tmp_path: Path) -> None:
    create("one", 1)
    journal = tmp_path / "journal"
    workers = [subprocess.Popen([sys.executable, "-c", CRITICAL, str(journal)], env=os.environ) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert journal.read_text().split() == ["in", "out"] * 30
    assert active("one") == 0


def test_the_slot_of_a_killed_holder_is_free_after_its_lease(later: Later) -> None:
    create("one", 1)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], env=os.environ, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    with pytest.raises(AcquireConcurrencySlotTimeoutError), concurrency("one", timeout_seconds=0):
        pass
    later.ahead = timedelta(seconds=60)
    with concurrency("one", timeout_seconds=0):
        assert active("one") == 1


HOLDING_FLOW = """
import time
from headrace import flow
from headrace.concurrency.sync import concurrency
@flow
def work():
    with concurrency("one"):
        print("held", flush=True)
        time.sleep(600)
work()
"""


def test_what_a_killed_flow_run_holds_is_free_as_soon_as_somebody_waits_for_it() -> None:
    create("one", 1)
    holder = subprocess.Popen([sys.executable, "-c", HOLDING_FLOW], env=os.environ, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    with concurrency("one", timeout_seconds=30):  # its lease would last 300 seconds
        assert active("one") == 1


def test_threads_never_overlap_and_slots_are_given_back_after_errors() -> None:
    create("two", 2)
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(4):
            try:
                with concurrency("two"):
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    threading.Event().wait(0.002)
                    with lock:
                        inside -= 1
                    raise KeyError
            except KeyError:
                pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= 2
    assert active("two") == 0


def test_a_forked_child_holds_slots_of_its_own_and_none_of_its_parents() -> None:
    create("one", 1)
    create("two", 1)

    def child() -> None:
        with concurrency("two"), pytest.raises(TimeoutError), concurrency("one", timeout_seconds=0.05):
            pass
        with concurrency("two"):
            os._exit(active("two") + active("one"))

    with concurrency("one"):
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(30)
        assert process.exitcode == 2
        assert active("one") == 1
    assert active("one") == 0


def test_async_tasks_never_overlap_and_the_loop_goes_on() -> None:
    create("one", 1)
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with async_concurrency("one"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.002)
            inside -= 1

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(8)))

    asyncio.run(main())
    assert active("one") == 0


def test_a_cancelled_async_block_gives_its_slot_back() -> None:
    create("one", 1)

    async def main() -> None:
        held = asyncio.Event()

        async def work() -> None:
            async with async_concurrency("one"):
                held.set()
                await asyncio.sleep(600)

        task = asyncio.create_task(work())
        await held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert active("one") == 0


def test_a_nested_wait_for_the_own_slot_times_out() -> None:
    create("one", 1)
    with concurrency("one"), pytest.raises(TimeoutError, match=r"'one' within 0\.05 second"):
        with concurrency("one", timeout_seconds=0.05):
            pass
    assert active("one") == 0


def test_no_retry_at_all_can_be_asked_for() -> None:
    create("one", 1)
    with concurrency("one"), pytest.raises(ConcurrencySlotAcquisitionError, match="after 0 retries"):
        with concurrency("one", max_retries=0):
            pass


@pytest.mark.parametrize("names", [[], ["off"], ["nope"]])
def test_what_limits_nothing_lets_everybody_in(names: list[str], caplog: pytest.LogCaptureFixture) -> None:
    create("off", 0, active=False)
    with caplog.at_level(logging.WARNING), concurrency(names), concurrency(names):
        pass
    assert ("There is no concurrency limit 'nope'" in caplog.text) is ("nope" in names)


def test_strict_refuses_unknown_limits_and_takes_nothing() -> None:
    create("one", 1)
    with pytest.raises(ConcurrencySlotAcquisitionError, match="no concurrency limit 'nope'"), concurrency(["one", "nope"], strict=True):
        pass
    assert active("one") == 0


def test_more_slots_than_the_limit_has_are_refused_at_once() -> None:
    create("two", 2)
    with pytest.raises(ConcurrencySlotAcquisitionError, match="3 requested, 'two' has 2"), concurrency("two", occupy=3):
        pass


def test_several_slots_of_several_limits_are_held_together() -> None:
    create("a", 2)
    create("b", 5)
    with concurrency(["a", "b", "a"], occupy=2):
        assert (active("a"), active("b")) == (2, 2)


def test_leases_are_renewed_before_they_expire(later: Later) -> None:
    create("one", 1)
    with concurrency("one", lease_duration=60):
        later.ahead = timedelta(seconds=50)
        with concurrency([]):
            pass
        lease = next(iter(slots_kept()))
        due = lease.due
        poke()
        wait_until(lambda: lease.due > due)
        later.ahead = timedelta(seconds=100)  # 50 s after the renewal
        assert active("one") == 1


def test_a_lost_lease_ends_a_strict_block_with_an_error(later: Later) -> None:
    create("one", 1)

    def work() -> None:
        with concurrency("one", strict=True):
            call(endpoints.UPDATE_LIMIT, ConcurrencyLimitV2Update(active_slots=0), id_or_name="one")
            later.ahead = timedelta(seconds=250)
            poke()
            for _ in range(2000):
                threading.Event().wait(0.005)
            pytest.fail("the block went on")

    with pytest.raises(ConcurrencySlotAcquisitionError, match="The slots of 'one' are not held any more"):
        work()


def test_a_lost_lease_ends_a_strict_async_block_with_an_error(later: Later) -> None:
    create("one", 1)

    async def work() -> None:
        async with async_concurrency("one", strict=True):
            call(endpoints.UPDATE_LIMIT, ConcurrencyLimitV2Update(active_slots=0), id_or_name="one")
            later.ahead = timedelta(seconds=250)
            poke()
            await asyncio.sleep(10)
            pytest.fail("the block went on")

    with pytest.raises(ConcurrencySlotAcquisitionError, match="The slots of 'one' are not held any more"):
        asyncio.run(work())


def test_a_block_that_need_not_hold_goes_on_with_a_warning(later: Later, caplog: pytest.LogCaptureFixture) -> None:
    create("one", 1)
    with caplog.at_level(logging.WARNING), concurrency("one", strict=True, raise_on_lease_renewal_failure=False):
        call(endpoints.UPDATE_LIMIT, ConcurrencyLimitV2Update(active_slots=0), id_or_name="one")
        later.ahead = timedelta(seconds=250)
        poke()
        wait_until(lambda: "The block goes on" in caplog.text)


def slots_kept() -> Any:
    from headrace.objects import leases

    assert leases._keeper is not None
    return leases._keeper.leases


def poke() -> None:
    """Let the renewing thread look at the clock that the test has moved."""
    from headrace.objects import leases

    assert leases._keeper is not None
    with leases._keeper.changed:
        leases._keeper.changed.notify()


def wait_until(happened: Any) -> None:
    for _ in range(2000):
        if happened():
            return
        threading.Event().wait(0.005)
    pytest.fail("it did not happen")


def test_events_tell_of_acquisition_and_release() -> None:
    create("a", 2)
    create("b", 5)
    with concurrency(["a", "b"], occupy=2):
        pass
    found = stored_events(event={"name": ["prefect.concurrency-limit.acquired", "prefect.concurrency-limit.released"]})
    named = {(event.event.rpartition(".")[2], event.resource.name): event for event in found}
    assert set(named) == {("acquired", "a"), ("acquired", "b"), ("released", "a"), ("released", "b")}
    released = named["released", "a"]
    assert released.follows == named["acquired", "a"].id
    assert (released.resource["slots-acquired"], released.resource["limit"]) == ("2", "2")
    assert [(other.role, other.id) for other in released.related] == [("concurrency-limit", named["acquired", "b"].resource.id)]


@pytest.mark.parametrize("mode", ["blocking", "async"])
def test_a_rate_limit_spreads_calls(mode: str) -> None:
    create("api", 2, slot_decay_per_second=20)
    started = clock.monotonic()
    if mode == "blocking":
        for _ in range(5):
            rate_limit("api")
    else:

        async def main() -> None:
            for _ in range(5):
                await async_rate_limit("api")

        asyncio.run(main())
    assert clock.monotonic() - started >= 3 / 20  # two at once, then one each 50 ms


def test_a_rate_limit_needs_decay_and_can_time_out() -> None:
    create("steady", 1)
    create("slow", 1, slot_decay_per_second=0.001)
    with pytest.raises(ConcurrencySlotAcquisitionError, match="do not have a decay configured: 'steady'"):
        rate_limit("steady")
    rate_limit("slow")
    with pytest.raises(TimeoutError):
        rate_limit("slow", timeout_seconds=0.05)


@pytest.mark.parametrize("function", [concurrency, rate_limit])
def test_the_names_of_the_documentation_are_the_parameters(function: Any) -> None:
    create("api", 1, slot_decay_per_second=1)
    used = function(names="api", occupy=1, timeout_seconds=1, strict=True)
    if used is not None:
        with used:
            pass


def test_task_slots_are_held_under_the_task_run() -> None:
    call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="gpu", concurrency_limit=1))
    task_run_id = uuid4()
    lease = drive(acquire_task_slots({"gpu", "other"}, task_run_id))
    assert lease is not None
    assert call(endpoints.READ_TAG_LIMIT_BY_TAG, tag="gpu").active_slots == [task_run_id]
    drive(release(lease))
    assert call(endpoints.READ_TAG_LIMIT_BY_TAG, tag="gpu").active_slots == []
    assert drive(acquire_task_slots(["other"], task_run_id)) is None


def test_a_task_under_a_limit_of_zero_is_refused() -> None:
    call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="gpu", concurrency_limit=0))
    with pytest.raises(ConcurrencySlotAcquisitionError, match="'tag:gpu' has 0"):
        drive(acquire_task_slots(["gpu"], uuid4()))


def test_a_new_tag_limit_is_known_two_seconds_later(later: Later) -> None:
    assert drive(acquire_task_slots(["gpu"], uuid4())) is None
    call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="gpu", concurrency_limit=1))
    later.ahead = timedelta(seconds=slots.KNOWN_TAGS_SECONDS)
    lease = drive(acquire_task_slots(["gpu"], uuid4()))
    assert lease is not None
    drive(release(lease))


def test_tasks_with_a_limited_tag_take_turns() -> None:
    from headrace import flow, task

    call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="gpu", concurrency_limit=1))
    inside, most = 0, 0

    @task(tags=["gpu", "other"])
    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.01)
        inside -= 1

    @flow
    def all_at_once() -> None:
        for future in [work.submit() for _ in range(6)]:
            future.result()

    all_at_once()
    assert most == 1
    assert call(endpoints.READ_TAG_LIMIT_BY_TAG, tag="gpu").active_slots == []


def test_async_tasks_with_a_limited_tag_take_turns() -> None:
    from headrace import flow, task

    call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="gpu", concurrency_limit=2))
    inside, most = 0, 0

    @task(tags=["gpu"])
    async def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        inside -= 1

    @flow
    async def all_at_once() -> None:
        await asyncio.gather(*(work() for _ in range(6)))

    asyncio.run(all_at_once())
    assert most == 2


def test_the_older_face_holds_the_slot_of_a_tag() -> None:
    call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="gpu", concurrency_limit=1))
    task_run_id = uuid4()
    with v1_concurrency("gpu", task_run_id):
        assert call(endpoints.READ_TAG_LIMIT_BY_TAG, tag="gpu").active_slots == [task_run_id]
        with pytest.raises(TimeoutError), v1_concurrency(["gpu"], uuid4(), timeout_seconds=0.05):
            pass
    assert call(endpoints.READ_TAG_LIMIT_BY_TAG, tag="gpu").active_slots == []
