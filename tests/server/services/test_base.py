"""The documented classes of services, as users derive from them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import pytest

from headrace.server.services.base import (
    LoopService,
    RunInAllServers,
    RunInEphemeralServers,
    RunInWebservers,
    Service,
    run_multiple_services,
)
from headrace.server.services.foreman import Foreman
from headrace.server.services.late_runs import MarkLateRuns
from headrace.server.services.passive import Distributor, EventPersister, LogDistributor
from headrace.settings import HEADRACE_SERVER_LOGS_STREAM_OUT_ENABLED, HEADRACE_SERVER_SERVICES_LATE_RUNS_ENABLED, temporary_settings
from headrace.settings.models.server.services import ServicesBaseSetting
from headrace.testing.clock import ControlledClock


class Counting(LoopService):
    """What a user writes: `run_once`, and how often."""

    loop_seconds = 0.001

    def __init__(self, loop_seconds: float | None = None, handle_signals: bool = False) -> None:
        super().__init__(loop_seconds, handle_signals)
        self.rounds = 0
        self.reached = asyncio.Event()

    async def run_once(self) -> None:
        self.rounds += 1
        if self.rounds >= 3:
            self.reached.set()


def test_service_runs_as_many_loops_as_it_is_told() -> None:
    service = Counting()
    asyncio.run(service.start(loops=2))
    assert service.rounds == 2
    asyncio.run(service.start(loops=1))
    assert service.rounds == 3


def test_service_runs_until_it_is_stopped() -> None:
    async def scenario() -> Counting:
        service = Counting()
        task = asyncio.create_task(service.start())
        await service.reached.wait()
        await service.stop()
        assert not service.is_stopping
        await asyncio.wait_for(task, 5)
        return service

    assert asyncio.run(scenario()).rounds >= 3


class Slow(Counting):
    """A round lasts until the test lets it end."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = asyncio.Event()
        self.let_go = asyncio.Event()
        self.log: list[str] = []

    async def _on_start(self) -> None:
        self.log.append("start")

    async def _on_stop(self) -> None:
        self.log.append("stop")

    async def run_once(self) -> None:
        self.log.append("begin")
        self.inside.set()
        await self.let_go.wait()
        self.log.append("end")


def test_stop_waits_for_the_present_round_or_only_asks() -> None:
    async def scenario() -> list[str]:
        service = Slow()
        task = asyncio.create_task(service.start())
        await service.inside.wait()
        await service.stop(block=False)
        assert service.is_stopping and not task.done()
        blocked = asyncio.create_task(service.stop())
        await asyncio.sleep(0)
        assert not blocked.done()
        service.let_go.set()
        await asyncio.wait_for(asyncio.gather(blocked, task), 5)
        return service.log

    assert asyncio.run(scenario()) == ["start", "begin", "end", "stop"]


def test_stop_of_a_service_that_does_not_run_does_nothing() -> None:
    async def scenario() -> None:
        service = Counting()
        await service.stop()
        assert not service.is_stopping
        await asyncio.wait_for(service.start(loops=2), 5)
        assert service.rounds == 2

    asyncio.run(scenario())


def test_service_may_stop_itself() -> None:
    class Once(Counting):
        async def run_once(self) -> None:
            await super().run_once()
            await self.stop()

    service = Once()
    asyncio.run(asyncio.wait_for(service.start(), 5))
    assert service.rounds == 1


def test_running_service_is_not_started_twice() -> None:
    async def scenario() -> None:
        service = Slow()
        task = asyncio.create_task(service.start())
        await service.inside.wait()
        with pytest.raises(RuntimeError, match="Slow is running already"):
            await service.start(loops=1)
        service.let_go.set()
        await service.stop()
        await task

    asyncio.run(scenario())


def test_round_that_fails_is_logged_and_the_next_one_comes(headrace_caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Counting):
        async def run_once(self) -> None:
            await super().run_once()
            if self.rounds == 1:
                raise ValueError("no luck")

    service = Failing()
    with headrace_caplog.at_level(logging.ERROR):
        asyncio.run(service.start(loops=3))
    assert service.rounds == 3
    assert [record.getMessage() for record in headrace_caplog.records] == ["A round of the service Failing failed. The next one comes as usual."]
    assert "no luck" in headrace_caplog.text


def test_interval_counts_from_beginning_to_beginning(controlled_clock: ControlledClock) -> None:
    waits: list[float] = []

    class Timed(Counting):
        lasts = (4.999, 7.0, 5.0, 0.0)

        async def run_once(self) -> None:
            waits.append(controlled_clock.monotonic())
            controlled_clock.pass_time(self.lasts[len(waits) - 1])

    asyncio.run(Timed(loop_seconds=5).start(loops=4))
    # the second is due at 5: the clock stands still while the loop waits its millisecond; the third is late and comes at once
    assert waits == pytest.approx([0, 4.999, 11.999, 16.999])


def test_classes_that_only_define_run_once_are_enabled_without_a_setting() -> None:
    assert Counting.enabled()
    assert Counting.environment_variable_name() == ""
    assert isinstance(Counting.service_settings(), ServicesBaseSetting)
    assert Counting().loop_seconds == 0.001
    assert Counting(loop_seconds=9).loop_seconds == 9
    assert (Counting().name, Counting().logger.name) == ("Counting", "headrace.server.services.counting")


def test_settings_switch_services() -> None:
    assert MarkLateRuns.enabled()
    assert MarkLateRuns.environment_variable_name() == "HEADRACE_SERVER_SERVICES_LATE_RUNS_ENABLED"
    assert MarkLateRuns().loop_seconds == 5
    with temporary_settings({HEADRACE_SERVER_SERVICES_LATE_RUNS_ENABLED: False}):
        assert not MarkLateRuns.enabled()
        assert MarkLateRuns in Service.all_services()
        assert MarkLateRuns not in Service.enabled_services()
    assert Distributor.environment_variable_name() == "HEADRACE_SERVER_EVENTS_STREAM_OUT_ENABLED"
    with temporary_settings({HEADRACE_SERVER_LOGS_STREAM_OUT_ENABLED: False}):
        assert [Distributor.enabled(), LogDistributor.enabled()] == [True, False]


def test_markers_list_their_kind() -> None:
    assert [one for one in RunInAllServers.all_services() if one.__module__.startswith("headrace.")] == [Distributor, LogDistributor]
    assert {Distributor, EventPersister} <= set(RunInEphemeralServers.all_services())
    assert EventPersister not in RunInWebservers.all_services()
    assert Foreman in LoopService.all_services() and Distributor not in LoopService.all_services()
    assert MarkLateRuns.all_services() == [MarkLateRuns]


def test_running_starts_services_and_stops_them_at_the_end() -> None:
    made: list[Counting] = []

    class Noted(Counting):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    async def scenario() -> None:
        async with Noted.running():
            await asyncio.wait_for(made[0].reached.wait(), 5)
        rounds = made[0].rounds
        await asyncio.sleep(0.01)
        assert made[0].rounds == rounds

    asyncio.run(scenario())
    assert len(made) == 1


def test_run_services_runs_until_it_is_cancelled() -> None:
    made: list[Counting] = []

    class Watched(Counting):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    async def scenario() -> None:
        task = asyncio.create_task(Watched.run_services())
        while not made:
            await asyncio.sleep(0)
        await made[0].reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert made[0]._stop_wanted is None

    asyncio.run(scenario())


def test_service_whose_start_fails_does_not_stop_the_others(headrace_caplog: pytest.LogCaptureFixture) -> None:
    from headrace.server.services.base import kept_running

    class Broken(Counting):
        async def _on_start(self) -> None:
            raise OSError("no network")

    async def scenario() -> None:
        good = Counting()
        async with kept_running([Broken(), good]):
            await asyncio.wait_for(good.reached.wait(), 5)

    asyncio.run(scenario())
    assert "The service Broken ended by an error. It is started again in 5 seconds." in headrace_caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_several_services(number: signal.Signals) -> None:
    async def scenario() -> list[Counting]:
        services = [Counting(), Counting()]
        task = asyncio.create_task(run_multiple_services(services))
        await asyncio.gather(*(service.reached.wait() for service in services))
        os.kill(os.getpid(), number)
        await asyncio.wait_for(task, 5)
        return services

    before = signal.getsignal(number)
    assert all(service.rounds >= 3 for service in asyncio.run(scenario()))
    assert signal.getsignal(number) is before


def test_service_may_handle_signals_itself() -> None:
    async def scenario() -> None:
        service = Counting(handle_signals=True)
        task = asyncio.create_task(service.start())
        await service.reached.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 5)

    handler = signal.getsignal(signal.SIGTERM)
    asyncio.run(scenario())
    assert signal.getsignal(signal.SIGTERM) is handler


def test_services_are_found_at_their_documented_places() -> None:
    from headrace.server.events.services.event_logger import EventLogger
    from headrace.server.events.services.event_persister import EventPersister as Persister
    from headrace.server.services.task_run_recorder import TaskRunRecorder

    assert {EventLogger, Persister, TaskRunRecorder} <= set(Service.all_services())
