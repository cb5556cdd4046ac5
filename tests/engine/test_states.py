"""States: constructors, text, results and what is read back from the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.modes import Mode, Program, Stored
from headrace import flow, states, task
from headrace.exceptions import CancelledRun, CrashedRun, FailedRun, MissingResult, PausedRun, UnfinishedRun
from headrace.states import (
    Cancelled,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    StateGroup,
    Suspended,
    format_exception,
    get_state_exception,
    raise_state_exception,
)


@pytest.mark.parametrize(
    ("constructor", "kind", "name"),
    [
        ("Scheduled", "SCHEDULED", "Scheduled"),
        ("Late", "SCHEDULED", "Late"),
        ("AwaitingRetry", "SCHEDULED", "AwaitingRetry"),
        ("AwaitingConcurrencySlot", "SCHEDULED", "AwaitingConcurrencySlot"),
        ("Pending", "PENDING", "Pending"),
        ("Submitting", "PENDING", "Submitting"),
        ("InfrastructurePending", "PENDING", "InfrastructurePending"),
        ("Running", "RUNNING", "Running"),
        ("Retrying", "RUNNING", "Retrying"),
        ("Completed", "COMPLETED", "Completed"),
        ("Failed", "FAILED", "Failed"),
        ("Crashed", "CRASHED", "Crashed"),
        ("Cancelling", "CANCELLING", "Cancelling"),
        ("Cancelled", "CANCELLED", "Cancelled"),
        ("Paused", "PAUSED", "Paused"),
        ("Suspended", "PAUSED", "Suspended"),
    ],
)
def test_constructors(constructor: str, kind: str, name: str) -> None:
    state = getattr(states, constructor)(message="hi")
    assert (state.type, state.name, state.message) == (kind, name, "hi")
    assert getattr(state, f"is_{kind.lower()}")()
    assert state.is_final() is (kind in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


def test_text() -> None:
    assert str(Completed(message="hi")) == "Completed('hi')"
    assert str(Running()) == "Running()"


def test_name_defaults_from_the_type_and_scheduled_ones_have_a_time() -> None:
    assert State(type="RUNNING").name == "Running"  # type: ignore[arg-type]  # text is parsed
    assert Scheduled().state_details.scheduled_time is not None


@pytest.mark.parametrize("constructor", [Paused, Suspended])
def test_one_end_of_a_pause_only(constructor: Any) -> None:
    with pytest.raises(ValueError, match="timeout"):
        constructor(timeout_seconds=1, pause_expiration_time=datetime.now(UTC))
    soon = constructor(timeout_seconds=10).state_details.pause_timeout
    assert timedelta(seconds=5) < soon - datetime.now(UTC) <= timedelta(seconds=10)


def test_states_are_equal_by_id_and_copies_are_fresh() -> None:
    state = Completed(data=3)
    copy = state.fresh_copy()
    assert copy.id != state.id and (copy.type, copy.name) == (state.type, state.name)
    assert copy.timestamp >= state.timestamp


def test_result_of_states_that_are_not_final() -> None:
    with pytest.raises(UnfinishedRun, match="Pending"):
        Pending().result()
    with pytest.raises(PausedRun) as caught:
        Paused().result()
    assert caught.value.state.is_paused()


@pytest.mark.parametrize(("constructor", "error"), [(Failed, FailedRun), (Crashed, CrashedRun), (Cancelled, CancelledRun)])
def test_result_of_states_that_went_wrong(constructor: Any, error: Any) -> None:
    with pytest.raises(ZeroDivisionError, match="x"):
        constructor(data=ZeroDivisionError("x")).result()
    assert repr(constructor(data=ZeroDivisionError("x")).result(raise_on_failure=False)) == "ZeroDivisionError('x')"
    with pytest.raises(error, match="told"):
        constructor(data="told").result()
    with pytest.raises(error, match="message"):
        constructor(message="message").result()
    with pytest.raises(KeyError):
        constructor(data=Failed(data=KeyError("inner"))).result()
    with pytest.raises(KeyError):
        constructor(data=[Completed(), Failed(data=KeyError("inner"))]).result()
    with pytest.raises(TypeError, match="Unexpected result"):
        constructor(data=5).result()


def test_raise_state_exception_raises_for_bad_states_only() -> None:
    raise_state_exception(Completed())
    with pytest.raises(FailedRun, match="no"):
        raise_state_exception(Failed(message="no"))


def test_groups_count() -> None:
    group = StateGroup([Completed(), Failed(), Cancelled()])
    assert (group.all_completed(), group.any_failed(), group.any_cancelled(), group.any_paused(), group.all_final()) == (
        False, True, True, False, True,
    )  # fmt: skip
    assert group.fail_count == 1
    assert "total=3" in group.counts_message()


def test_state_of_a_run_that_kept_nothing_has_no_result_elsewhere(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> int:
        return 7

    assert mode.run(work) == 7
    with pytest.raises(MissingResult, match="persist_result=True"):
        stored.flow_run().state.result()


def test_persisted_result_is_read_in_another_process(stored: Stored, program: Any) -> None:
    @task
    def part() -> dict[str, int]:
        return {"a": 1}

    @flow(persist_result=True)
    def work() -> list[int]:
        part()
        return [1, 2]

    work()
    reader: Program = program("""
        from headrace import get_client
        with get_client(sync_client=True) as client:
            print(client.read_flow_runs()[0].state.result(), client.read_task_runs()[0].state.result())
    """)
    assert reader.run().stdout == "[1, 2] {'a': 1}\n"


def test_values_never_reach_the_store(stored: Stored, home: Any) -> None:
    @flow
    def work() -> str:
        return "a-value-of-the-users"

    work()
    stored.flow_run()
    assert not any(b"a-value-of-the-users" in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_traceback_begins_in_the_users_code() -> None:
    @flow
    def work() -> None:
        raise ValueError("bad")

    text = format_exception(get_state_exception(work(return_state=True)))
    assert "/headrace/engine/" not in text
    assert text.endswith("ValueError: bad\n")
