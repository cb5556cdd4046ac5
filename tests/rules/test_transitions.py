"""Which transitions are accepted, rejected, delayed and aborted, and what a written state changes on its run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.model.states import (
    TERMINAL_STATES,
    AwaitingRetry,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Late,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    StateDetails,
    StateType,
    Suspended,
)
from headrace.rules import retries
from headrace.rules.bookkeeping import Books, advance, frees_slots, unique_timestamp
from headrace.rules.flow_rules import FLOW_RULES, FORCED_FLOW_RULES, LATE_RULES
from headrace.rules.task_rules import BACKGROUND_TASK_RULES, ENGINE_TASK_RULES, FORCED_TASK_RULES, TASK_RULES
from headrace.rules.transitions import (
    Claim,
    Decision,
    DeploymentSlots,
    Facts,
    Need,
    Policy,
    Rule,
    TagLimit,
    Transition,
    decide,
    needs_of,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=59.5)
RESULT = {"storage_key": "x"}
KEY = UUID(int=7)
FLOW = UUID(int=8)


def state(kind: str | None, name: str | None = None, data: Any = None, **details: Any) -> State | None:
    if kind is None:
        return None
    if kind == "SCHEDULED":
        details = {"scheduled_time": NOW, **details}
    return State(type=StateType(kind), name=name, data=data, timestamp=NOW, state_details=StateDetails(**details))


def judge(rules: tuple[Rule, ...], before: State | None, proposed: State | None, **facts: Any) -> Decision:
    assert proposed is not None
    return decide(rules, Transition(before, proposed), Facts(now=NOW, **facts))


FLOW_CASES: list[tuple[str, State | None, State | None, dict[str, Any], str, str | None, str | None]] = [
    # what, before, proposed, facts, status, name of the state written, part of the reason
    ("first state", None, Pending(), {}, "ACCEPT", "Pending", None),
    ("pending twice", Pending(), Pending(), {}, "ABORT", None, "in a PENDING state and cannot transition to a PENDING"),
    ("pending under another name", Pending(), state("PENDING", "Submitting"), {}, "ACCEPT", "Submitting", None),
    ("running to pending", Running(), Pending(), {}, "ABORT", None, "in a RUNNING state"),
    ("start", Pending(), Running(), {}, "ACCEPT", "Running", None),
    ("start too early", state("SCHEDULED", scheduled_time=SOON), Running(), {}, "WAIT", None, "in the future"),
    ("pending scheduled run too early", state("PENDING", scheduled_time=SOON), Running(), {}, "WAIT", None, "in the future"),
    ("start in time", state("SCHEDULED"), Running(), {}, "ACCEPT", "Running", None),
    ("cancel before start", state("SCHEDULED"), Cancelling(), {}, "REJECT", "Cancelled", "no infrastructure"),
    ("cancel with infrastructure", state("SCHEDULED"), Cancelling(), {"infrastructure_pid": "1"}, "ACCEPT", "Cancelling", None),
    ("cancel resuming", state("SCHEDULED", "Resuming"), Cancelling(), {"infrastructure_pid": "1"}, "REJECT", "Cancelled", "no infra"),
    ("cancel suspended", Suspended(), Cancelling(), {}, "REJECT", "Cancelled", "Suspended flow run"),
    ("cancel paused", Paused(), Cancelling(), {}, "REJECT", None, "cannot transition to the CANCELLING"),
    ("cancelling to completed", Cancelling(), Completed(), {}, "REJECT", None, "other than Cancelled"),
    ("cancelling to cancelled", Cancelling(), state("CANCELLED"), {}, "ACCEPT", "Cancelled", None),
    ("completed to crashed", Completed(), Crashed(), {}, "ABORT", None, "already in terminal state COMPLETED"),
    ("completed with result again", Completed(data=RESULT), Running(), {}, "REJECT", None, "already COMPLETED"),
    ("completed without result again", Completed(), Running(), {}, "ACCEPT", "Running", None),
    ("result kept", Completed(data=RESULT), Completed(), {}, "REJECT", None, "already COMPLETED"),
    ("result replaced", Completed(data=RESULT), Completed(data=RESULT), {}, "ACCEPT", "Completed", None),
    ("failed again", Failed(), Failed(), {}, "ACCEPT", "Failed", None),
    ("reschedule without deployment", Failed(), Scheduled(), {}, "ABORT", None, "without an associated deployment"),
    ("reschedule", Failed(), Scheduled(), {"has_deployment": True}, "ACCEPT", "Scheduled", None),
    ("pause nothing", None, Paused(), {}, "ABORT", None, "no state"),
    ("pause pending", Pending(), Paused(), {}, "REJECT", None, "not currently running"),
    ("pause", Running(), Paused(pause_key="a"), {}, "ACCEPT", "Paused", None),
    ("pause twice", Running(), Paused(pause_key="a"), {"policy": Policy(pause_keys=frozenset("a"))}, "REJECT", None, "already fired"),
    ("suspend without deployment", Running(), Suspended(), {}, "ABORT", None, "without a deployment"),
    ("suspend subflow", Running(), Suspended(), {"has_deployment": True, "is_subflow": True}, "ABORT", None, "subflows"),
    ("resume", Paused(), Running(), {}, "ACCEPT", "Running", None),
    ("resume to pending", Paused(), Pending(), {}, "REJECT", None, "PENDING state from the PAUSED"),
    ("resume too late", state("PAUSED", pause_timeout=NOW - timedelta(1)), Running(), {}, "REJECT", "Failed", "never resumed"),
    ("end too late", state("PAUSED", pause_timeout=NOW - timedelta(1)), Crashed(), {}, "ACCEPT", "Crashed", None),
    ("resume suspended without deployment", Suspended(), Scheduled(), {}, "REJECT", None, "without a deployment"),
    ("fail with retries", Running(), Failed(), {"run_count": 1, "policy": Policy(retries=1)}, "REJECT", "AwaitingRetry", "Retrying"),
    ("fail without retries", Running(), Failed(), {"run_count": 2, "policy": Policy(retries=1)}, "ACCEPT", "Failed", None),
    ("late", state("SCHEDULED"), Late(), {}, "ACCEPT", "Late", None),
    ("late twice", state("SCHEDULED", "Late"), Late(), {}, "REJECT", None, "late already"),
    ("late running", Running(), Late(), {}, "REJECT", None, "Only scheduled"),
    ("deployment gone", state("SCHEDULED"), Pending(), {"deployment_is_gone": True}, "ABORT", None, "Deployment not found"),
    ("no slots at all", state("SCHEDULED"), Pending(), {"deployment_slots": DeploymentSlots(0, 0)}, "ABORT", None, "limit is 0"),
    ("slot", state("SCHEDULED"), Pending(), {"deployment_slots": DeploymentSlots(1, 0)}, "ACCEPT", "Pending", None),
    ("full", state("SCHEDULED"), Pending(), {"deployment_slots": DeploymentSlots(1, 1)}, "REJECT", "AwaitingConcurrencySlot", "limit"),
    ("full, cancel", state("SCHEDULED"), Pending(), {"deployment_slots": DeploymentSlots(1, 1, "CANCEL_NEW")}, "REJECT", "Cancelled", "limit"),
    ("slot lost", Pending(), Running(), {"deployment_slots": DeploymentSlots(1, 1, lease="lost")}, "REJECT", "Cancelled", "lost"),
    ("slot retaken", Pending(), Running(), {"deployment_slots": DeploymentSlots(1, 0, lease="lost")}, "ACCEPT", "Running", None),
]


@pytest.mark.parametrize(("what", "before", "proposed", "facts", "status", "name", "reason"), FLOW_CASES, ids=[case[0] for case in FLOW_CASES])
def test_flow_transition(
    what: str, before: State | None, proposed: State, facts: dict[str, Any], status: str, name: str | None, reason: str | None
) -> None:
    decision = judge(FLOW_RULES, before, proposed, **facts)
    assert (decision.status, decision.state.name if decision.state else None) == (status, name)
    assert reason is None or reason in (decision.reason or "")


TASK_CASES: list[tuple[str, State | None, State | None, dict[str, Any], str, str | None, str | None]] = [
    ("outside a flow", Pending(), Running(), {}, "ACCEPT", "Running", None),
    ("flow runs", Pending(), Running(), {"flow_run_id": FLOW, "flow_run_state": StateType.RUNNING}, "ACCEPT", "Running", None),
    ("flow stopped", Pending(), Running(), {"flow_run_id": FLOW, "flow_run_state": StateType.FAILED}, "ABORT", None, "must be running"),
    ("flow has no state", Pending(), Running(), {"flow_run_id": FLOW}, "ABORT", None, "must be running"),
    ("flow paused", Pending(), Running(), {"flow_run_id": FLOW, "flow_run_state": StateType.PAUSED}, "REJECT", "NotReady", "paused"),
    ("cached", Pending(), state("RUNNING", cache_key="k"), {"cached": Completed(data=RESULT)}, "REJECT", "Cached", "cache"),
    ("refreshed", Pending(), state("RUNNING", cache_key="k", refresh_cache=True), {"cached": Completed()}, "ACCEPT", "Running", None),
    ("key too long", Running(), state("COMPLETED", cache_key="k" * 2001), {}, "REJECT", None, "2000"),
    ("crashed after end", Failed(), Crashed(), {}, "ABORT", None, "already FAILED"),
    ("completed with result", Completed(data=RESULT), Running(), {}, "REJECT", None, "already completed"),
    ("full tag", Pending(), Running(), {"tag_limits": (TagLimit("a", 1, 1),)}, "WAIT", None, "a tag"),
    ("closed tag", Pending(), Running(), {"tag_limits": (TagLimit("a", 0, 0),)}, "ABORT", None, '"a" is 0'),
    ("free tag", Pending(), Running(), {"tag_limits": (TagLimit("a", 1, 0),)}, "ACCEPT", "Running", None),
    ("retry", Running(), Failed(), {"run_count": 1, "policy": Policy(retries=1)}, "REJECT", "AwaitingRetry", "Retrying"),
    ("not retriable", Running(), state("FAILED", retriable=False), {"run_count": 1, "policy": Policy(retries=1)}, "ACCEPT", "Failed", None),
    ("retrying", AwaitingRetry(scheduled_time=NOW), Running(), {"run_count": 1}, "ACCEPT", "Retrying", None),
    ("rerunning", Pending(), Running(), {"run_count": 1}, "ACCEPT", "Rerunning", None),
]


@pytest.mark.parametrize(("what", "before", "proposed", "facts", "status", "name", "reason"), TASK_CASES, ids=[case[0] for case in TASK_CASES])
def test_task_transition(
    what: str, before: State | None, proposed: State, facts: dict[str, Any], status: str, name: str | None, reason: str | None
) -> None:
    decision = judge(TASK_RULES, before, proposed, **facts)
    assert (decision.status, decision.state.name if decision.state else None) == (status, name)
    assert reason is None or reason in (decision.reason or "")


def test_waiting_is_told_in_whole_seconds_rounded_up() -> None:
    assert judge(FLOW_RULES, state("SCHEDULED", scheduled_time=SOON), Running()).delay_seconds == 60


def test_repeated_transition_id_is_answered_with_the_present_state() -> None:
    decision = judge(FLOW_RULES, state("RUNNING", transition_id=KEY), state("RUNNING", transition_id=KEY))
    assert (decision.status, decision.state, decision.rule) == ("REJECT", None, "refuse-repeated-transition")


def test_lease_and_scheduled_time_are_carried_to_pending() -> None:
    before = state("SCHEDULED", scheduled_time=NOW, deployment_concurrency_lease_id=KEY)
    decision = judge(FLOW_RULES, before, Pending())
    assert decision.state is not None
    details = decision.state.state_details
    assert (details.scheduled_time, details.deployment_concurrency_lease_id) == (NOW, KEY)


def test_amending_leaves_the_proposal_as_it_was() -> None:
    proposed = Pending()
    judge(FLOW_RULES, state("SCHEDULED"), proposed)
    assert proposed.state_details.scheduled_time is None


def test_a_later_rejection_drops_what_earlier_rules_wanted() -> None:
    limits = (TagLimit("a", 1, 0),)
    before = state("SCHEDULED", scheduled_time=SOON)
    decision = judge(TASK_RULES, before, Running(), tag_limits=limits)
    assert (decision.status, decision.effects) == ("WAIT", ())
    assert judge(TASK_RULES, Pending(), Running(), tag_limits=limits).effects == (Claim.TAKE_TAG_SLOTS,)


def test_retry_forgets_pauses_and_says_how_it_is_retried() -> None:
    policy = Policy(retries=1, pause_keys=frozenset("a"), resuming=True)
    decision = judge(FLOW_RULES, Running(), Failed(message="no"), run_count=1, policy=policy)
    assert decision.policy == {"resuming": False, "pause_keys": frozenset(), "retry_type": "in_process"}
    assert decision.state is not None
    assert decision.state.message == "no"


def test_pause_is_remembered_and_resuming_is_marked() -> None:
    assert judge(FLOW_RULES, Running(), Paused(pause_key="b"), policy=Policy(pause_keys=frozenset("a"))).policy == {"pause_keys": frozenset("ab")}
    assert judge(FLOW_RULES, Paused(), Running()).policy == {"resuming": True}


def test_task_that_runs_again_counts_from_zero() -> None:
    decision = judge(TASK_RULES, Failed(), Running(), run_count=3, flow_run_run_count=2, seen_flow_run_run_count=1)
    assert (decision.run_count, decision.state.name if decision.state else None) == (0, "Rerunning")


def test_task_notes_in_which_run_of_its_flow_it_ran() -> None:
    facts = {"flow_run_id": FLOW, "flow_run_state": StateType.RUNNING, "flow_run_run_count": 4}
    assert judge(TASK_RULES, Pending(), Running(), **facts).flow_run_run_count == 4


def test_completed_task_with_a_key_is_stored_in_the_cache() -> None:
    assert judge(TASK_RULES, Running(), state("COMPLETED", cache_key="k")).effects == (Claim.STORE_IN_CACHE,)


def test_parameters_of_a_deferred_task_are_carried() -> None:
    before = state("SCHEDULED", deferred=True, task_parameters_id=KEY)
    decision = judge(BACKGROUND_TASK_RULES, before, Pending())
    assert decision.state is not None
    assert decision.state.state_details.task_parameters_id == KEY
    assert judge(BACKGROUND_TASK_RULES, Pending(), Pending()).status == "ABORT"


def test_old_clients_lose_their_lease_and_held_ones_are_renewed() -> None:
    held = {"deployment_slots": DeploymentSlots(1, 1, lease="held")}
    proposed = state("RUNNING", deployment_concurrency_lease_id=KEY)
    assert judge(FLOW_RULES, Pending(), proposed, **held).effects == (Claim.RENEW_DEPLOYMENT_LEASE,)
    assert judge(FLOW_RULES, Pending(), proposed, client_renews_leases=False, **held).effects == (Claim.DROP_DEPLOYMENT_LEASE,)


def test_late_run_of_a_full_deployment_is_cancelled_if_it_says_so() -> None:
    full = DeploymentSlots(1, 1, "CANCEL_NEW")
    decision = judge(LATE_RULES, state("SCHEDULED"), Late(), deployment_slots=full)
    assert decision.state is not None
    assert decision.state.name == "Cancelled"
    assert judge(LATE_RULES, state("SCHEDULED"), Late(), deployment_slots=DeploymentSlots(1, 1)).status == "ACCEPT"


def test_only_facts_of_applying_rules_are_needed() -> None:
    assert needs_of(TASK_RULES, StateType.RUNNING, StateType.COMPLETED) == frozenset()
    assert needs_of(TASK_RULES, StateType.PENDING, StateType.RUNNING) == {Need.CACHE, Need.FLOW_RUN, Need.TAG_LIMITS}
    assert needs_of(ENGINE_TASK_RULES, StateType.PENDING, StateType.RUNNING) == {Need.CACHE, Need.FLOW_RUN}


# --- properties -------------------------------------------------------------------------------------------------------

KINDS = st.sampled_from(list(StateType))
STATES = st.builds(
    lambda kind, data, reschedule: State(
        type=kind, data=data, timestamp=NOW, state_details=StateDetails(pause_reschedule=reschedule, scheduled_time=NOW)
    ),
    KINDS,
    st.sampled_from([None, RESULT]),
    st.booleans(),
)
FACTS = st.builds(
    lambda run_count, retries, has_deployment, flow_state: Facts(
        now=NOW,
        run_count=run_count,
        policy=Policy(retries=retries),
        has_deployment=has_deployment,
        flow_run_id=FLOW,
        flow_run_state=flow_state,
    ),
    st.integers(0, 5),
    st.integers(0, 3),
    st.booleans(),
    KINDS,
)
TABLES = st.sampled_from([FLOW_RULES, FORCED_FLOW_RULES, TASK_RULES, BACKGROUND_TASK_RULES, FORCED_TASK_RULES])


@given(TABLES, st.none() | STATES, STATES, FACTS)
def test_same_input_gives_the_same_output(rules: tuple[Rule, ...], before: State | None, proposed: State, facts: Facts) -> None:
    first, second = (decide(rules, Transition(before, proposed), facts) for _ in range(2))
    assert (first.status, first.reason, first.rule, first.effects) == (second.status, second.reason, second.rule, second.effects)
    assert (first.state and first.state.name) == (second.state and second.state.name)


@given(STATES, STATES, FACTS)
def test_ended_flow_run_is_left_only_to_run_again(before: State, proposed: State, facts: Facts) -> None:
    decision = decide(FLOW_RULES, Transition(before, proposed), facts)
    if before.type in TERMINAL_STATES and decision.state is not None and decision.state.type not in TERMINAL_STATES:
        assert not (before.type is StateType.COMPLETED and before.data)
        assert decision.state.type in (StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED)
        assert decision.policy["resuming"] is False
        assert decision.state.type is not StateType.SCHEDULED or facts.has_deployment


@given(TABLES, STATES, STATES, FACTS)
def test_what_is_not_accepted_names_its_rule_and_reason(rules: tuple[Rule, ...], before: State, proposed: State, facts: Facts) -> None:
    decision = decide(rules, Transition(before, proposed), facts)
    assert (decision.status == "ACCEPT") == (decision.rule is None)
    assert decision.status == "ACCEPT" or decision.reason
    assert decision.status in ("ACCEPT", "REJECT") or decision.state is None


@given(st.lists(st.tuples(KINDS, st.integers(0, 10_000_000)), min_size=1, max_size=30))
def test_books_stay_true_over_any_history(history: list[tuple[StateType, int]]) -> None:
    books, now, ran = Books(), 1_000_000, 0
    for kind, step in history:
        timestamp = unique_timestamp(books, now + step)
        if books.state_type is StateType.RUNNING:
            assert books.state_timestamp is not None
            ran += timestamp - books.state_timestamp
        assert books.state_timestamp is None or timestamp > books.state_timestamp
        books = advance(books, kind, timestamp, timestamp + 5 if kind is StateType.SCHEDULED else None)
        now = timestamp
    assert books.total_run_time == ran
    assert books.run_count == sum(kind is StateType.RUNNING for kind, _ in history)
    assert (books.end_time is not None) == (history[-1][0] in TERMINAL_STATES)
    assert (books.next_scheduled_start_time is not None) == (history[-1][0] is StateType.SCHEDULED)
    assert books.expected_start_time is not None


def test_resumed_run_counts_as_the_same_run() -> None:
    books = advance(Books(run_count=1), StateType.RUNNING, 5, None, counts=False)
    assert books.run_count == 1


def test_slots_are_given_back_when_a_run_leaves_the_states_that_hold_them() -> None:
    assert frees_slots(StateType.RUNNING, StateType.COMPLETED)
    assert frees_slots(StateType.CANCELLING, StateType.CANCELLED)
    assert not frees_slots(StateType.PENDING, StateType.RUNNING)
    assert not frees_slots(StateType.SCHEDULED, StateType.CANCELLED)


@pytest.mark.parametrize(("run_count", "seconds"), [(1, 1), (2, 5), (3, 5), (9, 5)])
def test_list_of_delays_repeats_its_last(run_count: int, seconds: float) -> None:
    assert retries.retry_delay_seconds(Policy(retry_delay=(1, 5)), run_count, 0.5) == seconds


@given(st.floats(0.001, 3600), st.floats(0.01, 10), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_its_factor(delay: float, factor: float, random: float) -> None:
    seconds = retries.retry_delay_seconds(Policy(retry_delay=delay, retry_jitter_factor=factor), 1, random)
    assert delay / (1 + factor) * 0.999 <= seconds <= delay * (1 + factor) * 1.001
