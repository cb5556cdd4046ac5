"""The rules for task runs, in the order in which they are asked. The engine asks the same ones in its own process."""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from headrace.model.states import TERMINAL_STATES, AwaitingRetry, Paused, StateType
from headrace.rules.flow_rules import carry_scheduled_time, guard_pending, wait_for_scheduled_time
from headrace.rules.retries import retry_delay_seconds
from headrace.rules.transitions import (
    ANY,
    TERMINAL,
    Abort,
    Amend,
    Claim,
    Facts,
    Need,
    Reject,
    Rule,
    Ruling,
    Transition,
    Wait,
    is_persisted,
)

CACHE_KEY_LENGTH_MAX = 2000
SLOT_WAIT_SECONDS_MAX = 10
STOPPED_FLOW_PAUSE_SECONDS = 300
"""How long a task that came to a paused flow stays NotReady."""

_S = StateType


def use_cached_result(transition: Transition, facts: Facts) -> Ruling | None:
    details = transition.proposed.state_details
    if not details.cache_key or details.refresh_cache or facts.cached is None:
        return None
    copy = facts.cached.fresh_copy(name="Cached", timestamp=facts.now)
    copy.state_details.cache_key = details.cache_key
    return Reject("Retrieved state from cache", copy)


def guard_final_task_state(transition: Transition, facts: Facts) -> Ruling | None:
    before, proposed = transition.before, transition.proposed
    assert before is not None
    if proposed.type in (_S.CANCELLING, _S.PAUSED, _S.CRASHED):
        return Abort(f"Run is already {before.type.value}.")
    if proposed.type in TERMINAL_STATES:
        return None
    if before.type is _S.COMPLETED and is_persisted(before):
        return Reject("This run is already completed.")
    flow_was_retried = facts.flow_run_run_count > facts.seen_flow_run_run_count
    return Amend(name="Retrying" if proposed.type is _S.RUNNING and flow_was_retried else None, run_count=0)


def start_only_in_running_flow(transition: Transition, facts: Facts) -> Ruling | None:
    if facts.flow_run_id is None:
        return None
    if facts.flow_run_state is _S.PAUSED:
        reason = "The flow is paused, new tasks can execute after resuming flow run: " + str(facts.flow_run_id)
        until = facts.now + timedelta(seconds=STOPPED_FLOW_PAUSE_SECONDS)
        return Reject(reason, Paused(name="NotReady", timestamp=facts.now, pause_expiration_time=until, reschedule=True))
    if facts.flow_run_state is not _S.RUNNING:
        return Abort("The enclosing flow must be running to begin task execution.")
    return None


def take_tag_slots(transition: Transition, facts: Facts) -> Ruling | None:
    for limit in facts.tag_limits:
        if limit.limit == 0:
            return Abort(f'The concurrency limit on tag "{limit.tag}" is 0 and will deadlock if the task tries to run again.')
    for limit in facts.tag_limits:
        if limit.taken >= limit.limit:
            delay = ceil(SLOT_WAIT_SECONDS_MAX * (0.5 + facts.random / 2))
            return Wait(delay, f"Concurrency limit for the {limit.tag} tag has been reached")
    return Amend(effects=(Claim.TAKE_TAG_SLOTS,)) if facts.tag_limits else None


def retry_failed_task(transition: Transition, facts: Facts) -> Ruling | None:
    proposed = transition.proposed
    if proposed.state_details.retriable is False or facts.run_count > facts.policy.retries:
        return None
    later = AwaitingRetry(
        timestamp=facts.now,
        scheduled_time=facts.now + timedelta(seconds=retry_delay_seconds(facts.policy, facts.run_count, facts.random)),
        message=proposed.message,
        data=proposed.data,
    )
    return Reject("Retrying", later)


def retry_failed_background_task(transition: Transition, facts: Facts) -> Ruling | None:
    ruling = retry_failed_task(transition, facts)
    if isinstance(ruling, Reject) and ruling.state is not None and transition.before is not None:
        details = ruling.state.state_details  # a new state, so nobody else has it
        details.deferred = True
        details.task_parameters_id = transition.before.state_details.task_parameters_id
    return ruling


def name_reruns(transition: Transition, facts: Facts) -> Ruling | None:
    if facts.run_count == 0:
        return None
    awaited = transition.before is not None and transition.before.name == "AwaitingRetry"
    return Amend(name="Retrying" if awaited else "Rerunning")


def note_run_of_flow(transition: Transition, facts: Facts) -> Ruling | None:
    return None if facts.flow_run_id is None else Amend(flow_run_run_count=facts.flow_run_run_count)


def store_in_cache(transition: Transition, facts: Facts) -> Ruling | None:
    key = transition.proposed.state_details.cache_key
    if not key or transition.proposed.name == "Cached":
        return None
    if len(key) > CACHE_KEY_LENGTH_MAX:
        return Reject(f"Cache key exceeded maximum allowed length of {CACHE_KEY_LENGTH_MAX} characters.")
    return Amend(effects=(Claim.STORE_IN_CACHE,))


def carry_parameters(transition: Transition, facts: Facts) -> Ruling | None:
    assert transition.before is not None
    parameters = transition.before.state_details.task_parameters_id
    if parameters is None or transition.proposed.state_details.task_parameters_id is not None:
        return None
    return Amend(details={"task_parameters_id": parameters})


def _kinds(*kinds: StateType) -> frozenset[StateType | None]:
    return frozenset(kinds)


_FLOW = frozenset({Need.FLOW_RUN})

_CACHED = Rule(
    "use-cached-result",
    ANY,
    _kinds(_S.RUNNING),
    use_cached_result,
    "A task whose cache key has an unexpired result is Completed with it, named Cached.",
    frozenset({Need.CACHE}),
)
_FINAL = Rule(
    "guard-final-state",
    TERMINAL,
    ANY,
    guard_final_task_state,
    "A task that has ended is not cancelled, paused or crashed and keeps a persisted result; when it runs again it counts from zero.",
    _FLOW,
)
_IN_FLOW = Rule(
    "start-only-in-running-flow",
    ANY,
    _kinds(_S.RUNNING),
    start_only_in_running_flow,
    "A task starts only while its flow runs.",
    _FLOW,
)
_TAGS = Rule(
    "take-tag-slots",
    ANY,
    _kinds(_S.RUNNING),
    take_tag_slots,
    "A task takes a slot of the limit of each of its tags, or waits.",
    frozenset({Need.TAG_LIMITS}),
)
_CARRY = Rule("carry-scheduled-time", _kinds(_S.SCHEDULED), _kinds(_S.PENDING), carry_scheduled_time, "PENDING keeps the time that SCHEDULED gave.")
_WAIT = Rule(
    "wait-for-scheduled-time",
    _kinds(_S.SCHEDULED, _S.PENDING),
    _kinds(_S.RUNNING),
    wait_for_scheduled_time,
    "A task does not start before its time.",
)
_RETRY = Rule("retry-failed-task", _kinds(_S.RUNNING), _kinds(_S.FAILED), retry_failed_task, "A failed task with retries left awaits its retry.")
_NAMES = Rule("name-reruns", ANY, _kinds(_S.RUNNING), name_reruns, "A second run is named Retrying after AwaitingRetry, else Rerunning.")
_NOTE = Rule("note-run-of-flow", ANY, _kinds(_S.RUNNING), note_run_of_flow, "The task notes in which run of its flow it ran.", _FLOW)
_STORE = Rule(
    "store-in-cache", ANY, _kinds(_S.COMPLETED), store_in_cache, "A completed task with a cache key is found under it until its expiration."
)

TASK_RULES: tuple[Rule, ...] = (_CACHED, _FINAL, _IN_FLOW, _TAGS, _CARRY, _WAIT, _RETRY, _NAMES, _NOTE, _STORE)
"""What a proposed state of a task run is judged by."""

ENGINE_TASK_RULES: tuple[Rule, ...] = tuple(rule for rule in TASK_RULES if rule is not _TAGS)
"""The same for the engine, which takes slots before it proposes."""

BACKGROUND_TASK_RULES: tuple[Rule, ...] = (
    Rule(
        "guard-pending",
        _kinds(_S.PENDING, _S.CANCELLING, _S.RUNNING, _S.CANCELLED),
        _kinds(_S.PENDING),
        guard_pending,
        "Only one worker takes a task: PENDING is entered once.",
    ),
    _CACHED,
    _FINAL,
    _CARRY,
    Rule(
        "carry-parameters",
        _kinds(_S.SCHEDULED, _S.PENDING),
        _kinds(_S.PENDING, _S.RUNNING),
        carry_parameters,
        "The place of the stored parameters is carried along.",
    ),
    _WAIT,
    Rule(
        "retry-failed-background-task",
        _kinds(_S.RUNNING),
        _kinds(_S.FAILED),
        retry_failed_background_task,
        "A failed background task with retries left is queued again with its parameters.",
    ),
    _NAMES,
    _NOTE,
    _STORE,
)
"""What a proposed state of a deferred task run, which a task worker runs, is judged by."""

FORCED_TASK_RULES: tuple[Rule, ...] = ()
"""What even a forced state of a task run is judged by: nothing."""
