"""The life of a flow run: its states, logs and what the orchestrator may say."""

from __future__ import annotations

from typing import Any

import pytest

from engine.modes import Mode, Program, Stored
from headrace import flow, get_run_logger, task
from headrace.exceptions import Abort
from headrace.states import Cancelled

pytestmark = pytest.mark.usefixtures("client")


def test_history_is_exact_and_times_increase(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> None: ...

    mode.run(work)
    states = stored.flow_states()
    assert [state.name for state in states] == ["Pending", "Running", "Completed"]
    assert states[0].timestamp < states[1].timestamp < states[2].timestamp
    run = stored.flow_run()
    assert run.run_count == 1
    assert run.start_time == states[1].timestamp and run.end_time == states[2].timestamp


def test_failure_is_recorded_with_type_and_message_only(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        mode.run(work)
    assert stored.flow_history() == ["Pending", "Running", "Failed"]
    assert stored.flow_run().state.data is None


def test_exceptions_are_not_written_to_storage_unless_results_are(home: Any) -> None:
    @task
    def part() -> None:
        raise ValueError("bad")

    @flow
    def work() -> None:
        part()

    with pytest.raises(ValueError, match="bad"):
        work()
    assert not (home / "storage").exists() or not any((home / "storage").iterdir())


def test_options_are_stored_with_the_run(stored: Stored) -> None:
    @flow(version="7", retries=2, retry_delay_seconds=3)
    def work() -> None: ...

    work()
    run = stored.flow_run()
    assert (run.flow_version, run.empirical_policy.retries, run.empirical_policy.retry_delay) == ("7", 2, 3)


def test_log_tells_beginning_and_end(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> None:
        get_run_logger().info("from the body")

    mode.run(work)
    lines = stored.logs().splitlines()
    assert lines[0] == f"Beginning flow run '{stored.flow_run().name}' for flow 'work'"
    assert lines[1:] == ["from the body", "Finished in state Completed()"]


def test_run_that_was_ended_meanwhile_stops_without_its_body(stored: Stored) -> None:
    ran: list[int] = []

    @flow
    def work() -> None:
        ran.append(1)

    from headrace.flow_engine import run_flow

    run = stored.client.create_flow_run(work)
    stored.client.set_flow_run_state(run.id, Cancelled(), force=True)
    with pytest.raises(Abort):
        run_flow(work, flow_run=stored.client.read_flow_run(run.id))
    assert ran == []
    assert stored.flow_run().state.name == "Cancelled"


def test_abort_and_pause_are_not_swallowed_by_user_code(mode: Mode) -> None:
    @mode.flow
    async def work() -> str:
        try:
            raise Abort("stop")
        except Exception:
            return "swallowed"

    with pytest.raises(Abort):
        mode.run(work)


@pytest.mark.parametrize("error", [SystemExit(4), KeyboardInterrupt()])
def test_what_is_no_exception_crashes_the_run_and_passes_through(mode: Mode, stored: Stored, error: BaseException) -> None:
    @mode.flow
    async def work() -> None:
        raise error

    with pytest.raises(type(error)):
        mode.run(work)
    state = stored.flow_run().state
    assert (state.type, state.name) == ("CRASHED", "Crashed")


def test_exit_code_of_sys_exit_is_kept(program: Any, stored: Stored) -> None:
    one: Program = program("""
        import sys
        from headrace import flow

        @flow
        def work():
            sys.exit(4)

        work()
    """)
    assert one.run().returncode == 4
    assert stored.flow_run().state.message == "Execution was aborted by Python system exit call."


def test_parameters_and_run_reach_the_context(mode: Mode, stored: Stored) -> None:
    from headrace.context import FlowRunContext, get_run_context

    @mode.flow
    async def work(x: int) -> Any:
        frame = get_run_context()
        assert frame is FlowRunContext.get()
        return frame.flow_run.id, frame.flow.name, frame.parameters

    id, name, parameters = mode.run(work, 1)
    assert (id, name, parameters) == (stored.flow_run().id, "work", {"x": 1})


def test_print_is_logged_when_asked_for(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def part() -> None:
        print("from the task")

    @mode.flow(log_prints=True)
    async def work() -> None:
        print("from the flow")
        await mode.call(part)

    mode.run(work)
    assert "from the flow" in stored.logs() and "from the task" in stored.logs()


def test_killed_process_leaves_a_run_that_the_next_one_marks_crashed(program: Any, stored: Stored) -> None:
    one: Program = program("""
        import os, signal
        from headrace import flow, task

        @task
        def done(): pass

        @flow
        def work():
            done()
            os.kill(os.getpid(), signal.SIGKILL)

        work()
    """)
    assert one.run().returncode == -9

    @flow
    def next_one() -> None: ...

    next_one()
    states = {run.state.name for run in stored.flow_runs() if run.flow_version != next_one.version}
    assert states == {"Crashed"}
    assert stored.task_run().state.name == "Completed"


# --- the documented door for those who bring a run of their own ---------------------------------------------------------------


def test_run_flow_runs_a_run_that_exists(mode: Mode, stored: Stored) -> None:
    from headrace.flow_engine import run_flow

    @mode.flow
    async def work(x: int, y: int = 2) -> int:
        return x + y

    run = stored.client.create_flow_run(work, parameters={"x": "1"})

    def start(**kwargs: Any) -> Any:
        return run_flow(work, flow_run=run, **kwargs)

    assert mode.run(start) == 3
    assert stored.flow_run().id == run.id
    assert stored.flow_history()[-2:] == ["Running", "Completed"]


def test_run_flow_answers_results_or_states(mode: Mode) -> None:
    from headrace.flow_engine import run_flow

    @mode.flow
    async def work(x: int) -> int:
        return 1 // x

    assert mode.run(lambda: run_flow(work, parameters={"x": 1})) == 1
    assert mode.run(lambda: run_flow(work, parameters={"x": 0}, return_type="state")).is_failed()
    with pytest.raises(ZeroDivisionError):
        mode.run(lambda: run_flow(work, parameters={"x": 0}))


def test_run_flow_refuses_parameters_that_the_flow_does_not_have(stored: Stored) -> None:
    from headrace.exceptions import SignatureMismatchError
    from headrace.flow_engine import run_flow

    @flow
    def work(x: int) -> int:
        return x

    with pytest.raises(SignatureMismatchError, match="y"):
        run_flow(work, parameters={"x": 1, "y": 2})


def test_run_flow_of_generators(stored: Stored) -> None:
    import asyncio

    from headrace.flow_engine import run_flow, run_generator_flow_async, run_generator_flow_sync

    @flow
    def numbers() -> Any:
        yield from range(3)

    @flow
    async def later() -> Any:
        for number in range(3):
            yield number

    async def collect() -> list[int]:
        return [number async for number in run_generator_flow_async(later)]

    assert list(run_flow(numbers)) == list(run_generator_flow_sync(numbers)) == asyncio.run(collect()) == [0, 1, 2]
    with pytest.raises(ValueError, match="generator"):
        run_flow(numbers, return_type="state")


def test_load_flow_run(stored: Stored) -> None:
    from headrace.flow_engine import load_flow_run

    @flow
    def work() -> None: ...

    work()
    assert load_flow_run(stored.flow_run().id).name == stored.flow_run().name


def test_run_that_was_taken_before_its_time_begins_at_its_time_and_not_at_the_next_whole_second(stored: Stored) -> None:
    from datetime import timedelta

    from headrace.client.orchestration import get_client
    from headrace.flow_engine import run_flow
    from headrace.model import clock
    from headrace.states import Pending, Scheduled
    from headrace.testing.clock import ControlledClock

    @flow
    def work() -> None: ...

    controlled = ControlledClock()
    with clock.use(controlled), get_client(sync_client=True) as client:
        later = Scheduled(scheduled_time=clock.now() + timedelta(seconds=2.3))
        run = client.create_flow_run(work, state=later)
        client.set_flow_run_state(run.id, Pending())
        run_flow(work, flow_run=client.read_flow_run(run.id))
    assert controlled.slept == [pytest.approx(2.3, abs=0.1)]  # pyright: ignore[reportUnknownMemberType]


def test_long_runs_send_signs_of_life(stored: Stored) -> None:
    import threading

    from headrace.client.bridge import drive
    from headrace.client.connect import current_client
    from headrace.model import clock
    from headrace.model.endpoints.events import FILTER_EVENTS
    from headrace.model.event_filters import EventFilter, FilterEvents
    from headrace.testing.clock import ControlledClock

    controlled = ControlledClock()
    tick = threading.Event()

    def beats() -> list[Any]:
        until_now = EventFilter.model_validate({"event": {"name": ["prefect.flow-run.heartbeat"]}})
        return drive(current_client().call(FILTER_EVENTS, FilterEvents(filter=until_now))).events

    def wait_for_beats(count: int) -> None:
        for _ in range(500):
            if len(beats()) == count:
                return
            tick.wait(0.01)
        raise AssertionError(f"{len(beats())} beats instead of {count}")

    @flow(flow_run_name="long")
    def work() -> None:
        assert beats() == []
        for count in (1, 2):
            controlled.pass_time(181)
            wait_for_beats(count)

    with clock.use(controlled):
        work()
        run = stored.flow_run()
        beat = beats()[0]
    assert (beat.resource.id, beat.resource["prefect.resource.name"]) == (f"prefect.flow-run.{run.id}", "long")
    assert [(one.role, one.id) for one in beat.related] == [("flow", f"prefect.flow.{run.flow_id}")]


def test_signs_of_life_go_where_settings_that_are_given_in_code_say() -> None:
    import threading

    from headrace.client.bridge import drive
    from headrace.client.connect import current_client
    from headrace.model import clock
    from headrace.model.endpoints.events import FILTER_EVENTS
    from headrace.model.event_filters import EventFilter, FilterEvents
    from headrace.testing.clock import ControlledClock
    from headrace.testing.utilities import headrace_test_harness

    controlled = ControlledClock()

    @flow
    def work() -> int:
        controlled.pass_time(181)
        wanted = EventFilter.model_validate({"event": {"name": ["prefect.flow-run.heartbeat"]}})
        for _ in range(500):
            if found := drive(current_client().call(FILTER_EVENTS, FilterEvents(filter=wanted))).events:
                return len(found)
            threading.Event().wait(0.01)
        return 0

    with headrace_test_harness(), clock.use(controlled):
        assert work() == 1


def test_run_that_is_being_cancelled_ends_as_cancelled(mode: Mode, stored: Stored) -> None:
    from headrace.context import FlowRunContext
    from headrace.exceptions import CancelledRun
    from headrace.states import Cancelling

    called: list[str] = []

    def note(flow: Any, run: Any, state: Any) -> None:
        called.append(state.name)

    @mode.flow(on_cancellation=[note], on_completion=[note], on_failure=[note])
    async def work() -> int:
        frame = FlowRunContext.get()
        assert frame is not None
        stored.client.set_flow_run_state(frame.flow_run.id, Cancelling())
        return 3

    with pytest.raises(CancelledRun):
        mode.run(work)
    assert stored.flow_history() == ["Pending", "Running", "Cancelling", "Cancelled"]
    assert called == ["Cancelling"]


def test_run_whose_coroutine_is_cancelled_crashes(stored: Stored) -> None:
    import asyncio

    @flow
    async def work() -> None:
        begun.set()
        await asyncio.sleep(30)

    begun = asyncio.Event()

    async def main() -> None:
        running = asyncio.create_task(work())
        await begun.wait()
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert stored.flow_run().state.message == "Execution was cancelled by the runtime environment."
