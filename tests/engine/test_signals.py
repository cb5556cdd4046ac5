"""Signals to a process that runs a flow: what is recorded, and how the process ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest

from engine.modes import Program, Stored
from headrace import flow

SERVING = """
    import sys, threading
    from headrace import flow, task

    @task
    def part():
        print("ready", flush=True)
        threading.Event().wait(30)

    @flow(on_crashed=[lambda flow, run, state: print("crashed:", state.message, flush=True)])
    def work():
        {body}

    {call}
"""


@pytest.mark.parametrize("body", ["part()", "part.submit().wait()"])
def test_termination_crashes_the_run_and_kills_the_process(program: Callable[[str], Program], stored: Stored, body: str) -> None:
    running = program(SERVING.format(body=body, call="work()")).start()
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=20)
    assert running.returncode == -signal.SIGTERM, err
    assert out == "crashed: Execution was aborted by a termination signal.\n"
    assert [state.name for state in stored.flow_states()] == ["Pending", "Running", "Crashed"]
    assert stored.task_run().state.name == "Crashed"


def test_termination_of_a_run_that_is_being_cancelled_cancels_its_subflows_too(program: Callable[[str], Program], stored: Stored) -> None:
    from headrace.states import Cancelling

    running = program("""
        import threading
        from headrace import flow

        note = [lambda flow, run, state: print(flow.name, state.name, flush=True)]

        @flow(on_cancellation=note, on_crashed=note)
        def inner():
            print("ready", flush=True)
            threading.Event().wait(30)

        @flow
        def middle():
            inner()

        @flow(on_cancellation=note, on_crashed=note)
        def outer():
            middle()

        outer()
    """).start()
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    [outer] = [run for run in stored.client.read_flow_runs() if run.parent_task_run_id is None]
    stored.client.set_flow_run_state(outer.id, Cancelling())
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=20)
    assert running.returncode == -signal.SIGTERM, err
    assert out == "inner Cancelling\nouter Cancelling\n"
    assert [run.state_name for run in stored.client.read_flow_runs()] == ["Cancelled"] * 3


def test_interrupt_crashes_the_run_and_passes_through(program: Callable[[str], Program], stored: Stored) -> None:
    running = program(SERVING.format(body="part()", call="work()")).start()
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode in (1, 130, -signal.SIGINT)
    assert "KeyboardInterrupt" in err
    assert out == "crashed: Execution was aborted by an interrupt signal.\n"
    assert stored.flow_run().state.message == "Execution was aborted by an interrupt signal."


def test_termination_of_an_async_flow(program: Callable[[str], Program], stored: Stored) -> None:
    running = program("""
        import asyncio
        from headrace import flow

        @flow
        async def work():
            print("ready", flush=True)
            await asyncio.sleep(30)

        asyncio.run(work())
    """).start()
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=20)
    assert running.returncode == -signal.SIGTERM, err
    assert stored.flow_run().state.message == "Execution was aborted by a termination signal."


def test_signals_wake_the_loop_of_an_async_flow_and_nothing_stays_of_that() -> None:
    def wakeup_fd() -> int:
        found = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(found)
        return found

    @flow
    async def work() -> int:
        return wakeup_fd()

    assert asyncio.run(work()) != -1  # else one that comes just before the loop waits is heard of at the wait's end
    assert wakeup_fd() == -1


def test_a_program_that_handles_the_signal_itself_keeps_its_handler(program: Callable[[str], Program]) -> None:
    done = program("""
        import os, signal
        from headrace import flow

        signal.signal(signal.SIGTERM, lambda *_: print("mine"))

        @flow
        def work():
            os.kill(os.getpid(), signal.SIGTERM)
            return "went on"

        print(work())
    """).run()
    assert done.stdout == "mine\nwent on\n"


def test_handlers_are_as_before_after_a_flow() -> None:
    from headrace import flow

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)

    @flow(timeout_seconds=5)
    def work() -> None: ...

    work()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == before
