"""The published testing utilities."""

from __future__ import annotations

import warnings
from pathlib import Path
from uuid import UUID

import pytest

from headrace import flow, task
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model import clock
from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
from headrace.model.run_queries import FlowRunQuery
from headrace.testing.cli import invoke_and_assert
from headrace.testing.clock import ControlledClock
from headrace.testing.utilities import (
    assert_does_not_warn,
    assert_uses_result_serializer,
    exceptions_equal,
    get_most_recent_flow_run,
    headrace_test_harness,
    kubernetes_environments_equal,
)


@flow
def greeting(name: str = "world") -> str:
    return f"hello {name}"


def _runs() -> list[UUID]:
    return [run.id for run in drive(current_client().call(FILTER_FLOW_RUNS, FlowRunQuery()))]


def test_harnesses_do_not_see_each_other_nor_the_home(home: Path) -> None:
    with headrace_test_harness():
        assert greeting() == "hello world"
        assert len(_runs()) == 1
        with headrace_test_harness():
            assert _runs() == []
            greeting()
            greeting()
            assert len(_runs()) == 2
        assert len(_runs()) == 1
    assert _runs() == []
    assert not list(home.glob("spool/*"))


async def _async_greeting() -> str:
    @flow
    async def waiting() -> str:
        return "done"

    return await waiting()


def test_a_harness_serves_async_flows() -> None:
    import asyncio

    with headrace_test_harness():
        assert asyncio.run(_async_greeting()) == "done"
        assert len(_runs()) == 1


def test_the_most_recent_run_is_the_last_one() -> None:
    with headrace_test_harness():
        greeting("first")
        greeting("last")

        assert drive(get_most_recent_flow_run()).parameters == {"name": "last"}
        assert drive(get_most_recent_flow_run(flow_name="greeting")).parameters == {"name": "last"}
        with pytest.raises(ValueError, match="There is no flow run of the flow 'other'"):
            drive(get_most_recent_flow_run(flow_name="other"))


def test_results_tell_their_serializer() -> None:
    @task(persist_result=True, result_serializer="json")
    def kept() -> int:
        return 1

    with headrace_test_harness():
        state = kept(return_state=True)
        drive(assert_uses_result_serializer(_stored(state), "json"))
        with pytest.raises(AssertionError, match="'json', not 'pickle'"):
            drive(assert_uses_result_serializer(_stored(state), "pickle"))


def _stored(state: object) -> object:
    """Return the state as another process would read it."""
    from headrace.model.endpoints.states import READ_TASK_RUN_STATES

    task_run_id = state.state_details.task_run_id  # type: ignore[attr-defined]  # a State
    from headrace.client.spool import close_process_spool

    close_process_spool()
    return drive(current_client().call(READ_TASK_RUN_STATES, task_run_id=task_run_id))[-1]


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (ValueError("x"), ValueError("x"), True),
        (ValueError("x"), ValueError("y"), False),
        (ValueError("x"), TypeError("x"), False),
        (None, ValueError("x"), False),
        (None, None, True),
    ],
)
def test_exceptions_are_compared_by_type_and_arguments(a: Exception | None, b: Exception | None, equal: bool) -> None:
    assert exceptions_equal(a, b) is equal


def test_environments_are_compared_in_any_order() -> None:
    assert kubernetes_environments_equal([{"name": "B", "value": "2"}, {"name": "A", "value": "1"}], {"A": "1", "B": "2"})
    assert not kubernetes_environments_equal([{"name": "A", "value": "1"}], {"A": "2"})


def test_a_warning_fails_the_block() -> None:
    with pytest.raises(AssertionError, match="Warning was raised"), assert_does_not_warn():
        warnings.warn("careful", UserWarning, stacklevel=1)
    with assert_does_not_warn(ignore_warnings=[UserWarning]):
        warnings.warn("careful", UserWarning, stacklevel=1)


def test_a_controlled_clock_does_not_wait() -> None:
    with clock.use(ControlledClock()) as controlled:
        before = clock.now()
        clock.sleep(3600)

        assert (clock.now() - before).total_seconds() == 3600
        assert controlled.slept == [3600]  # type: ignore[attr-defined]  # our clock, not any


def test_commands_are_run_and_judged() -> None:
    invoke_and_assert(["flow-run", "ls", "-o", "json"], expected_output="[]")
    invoke_and_assert("flow-run inspect nonsense", expected_code=2, expected_output_contains="nonsense")
    with pytest.raises(AssertionError, match="Expected exit code 3, got 0"):
        invoke_and_assert("version", expected_code=3)
