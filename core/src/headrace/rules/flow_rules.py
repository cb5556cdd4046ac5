"""The rules for flow runs, in the order in which they are asked."""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from headrace.model.states import TERMINAL_STATES, AwaitingRetry, Cancelled, Failed, Scheduled, StateType
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
    every_but,
    is_persisted,
)

_S = StateType


def keep_deployment_lease(transition: Transition, facts: Facts) -> Ruling | None:
    lease = transition.before.state_details.deployment_concurrency_lease_id if transition.before else None
    if lease is None or transition.proposed.state_details.deployment_concurrency_lease_id is not None:
        return None
    return Amend(details={"deployment_concurrency_lease_id": lease})


def keep_lost_claims_out(transition: Transition, facts: Facts) -> Ruling | None:
    return Abort("Another process has taken this run meanwhile.") if facts.claim_is_lost else None


def refuse_repeated_transition(transition: Transition, facts: Facts) -> Ruling | None:
    key = transition.proposed.state_details.transition_id
    if transition.before is None or key is None or transition.before.state_details.transition_id != key:
        return None
    return Reject("This run has already made this state transition.")


def guard_final_flow_state(transition: Transition, facts: Facts) -> Ruling | None:
    before, proposed = transition.before, transition.proposed
    assert before is not None
    if proposed.type in (_S.CANCELLING, _S.PAUSED, _S.CRASHED):
        return Abort(f"Run is already in terminal state {before.type.value}.")
    if before.type is _S.COMPLETED and is_persisted(before) and _loses_result(transition):
        return Reject("Run is already COMPLETED.")
    if proposed.type in TERMINAL_STATES:
        return None
    if proposed.type is _S.SCHEDULED and not facts.has_deployment:
        return Abort("Cannot reschedule a run without an associated deployment.")
    again = "reschedule" if proposed.type is _S.SCHEDULED else None
    return Amend(policy={"resuming": False, "pause_keys": frozenset(), "retry_type": again})


def _loses_result(transition: Transition) -> bool:
    proposed = transition.proposed
    return proposed.type not in TERMINAL_STATES or (proposed.type is _S.COMPLETED and not is_persisted(proposed))


def keep_result(transition: Transition, facts: Facts) -> Ruling | None:
    before, proposed = transition.before, transition.proposed
    if is_persisted(before) and not is_persisted(proposed):
        return Reject("Run is already COMPLETED.")
    return None


def finish_cancelling(transition: Transition, facts: Facts) -> Ruling | None:
    return Reject("Cannot transition flows that are cancelling to a state other than Cancelled.")


def cancel_without_infrastructure(transition: Transition, facts: Facts) -> Ruling | None:
    before = transition.before
    assert before is not None
    if before.type is _S.SCHEDULED and (not facts.infrastructure_pid or before.name == "Resuming"):
        return _nothing_to_end("Scheduled flow run has no infrastructure to terminate.", facts)
    if before.type is _S.PAUSED and before.state_details.pause_reschedule:
        return _nothing_to_end("Suspended flow run has no infrastructure to terminate.", facts)
    return None


def _nothing_to_end(reason: str, facts: Facts) -> Reject:
    return Reject(reason, Cancelled(timestamp=facts.now, message=reason))


def guard_pending(transition: Transition, facts: Facts) -> Ruling | None:
    before, proposed = transition.before, transition.proposed
    assert before is not None
    if before.type is _S.PENDING and facts.is_anothers:
        return Abort("Another process has taken this run meanwhile.")
    if before.type is _S.PENDING and proposed.name not in (before.name, "Pending"):
        details = {
            name: getattr(before.state_details, name)
            for name in ("scheduled_time", "deployment_concurrency_lease_id")
            if getattr(proposed.state_details, name) is None
        }
        return Amend(details=details)
    return Abort(f"This run is in a {before.type.value} state and cannot transition to a PENDING state.")


def check_deployment_slot(transition: Transition, facts: Facts) -> Ruling | None:
    slots = facts.deployment_slots
    if slots is None or slots.lease == "none":
        return None
    if slots.lease == "held":
        return Amend(effects=(Claim.RENEW_DEPLOYMENT_LEASE,)) if facts.client_renews_leases else None
    if slots.taken < slots.limit:
        return Amend(effects=(Claim.TAKE_DEPLOYMENT_SLOT,))
    reason = "The run's concurrency slot was lost while its infrastructure was being made, and no other is free."
    return Reject(reason, Cancelled(timestamp=facts.now, message=reason))


def take_deployment_slot(transition: Transition, facts: Facts) -> Ruling | None:
    if facts.deployment_is_gone:
        return Abort("Deployment not found.")
    slots = facts.deployment_slots
    if slots is None:
        return None
    if slots.limit == 0:
        return Abort("The deployment concurrency limit is 0. The flow will deadlock if submitted again.")
    if slots.taken < slots.limit:
        return Amend(effects=(Claim.TAKE_DEPLOYMENT_SLOT,))
    if slots.when_full == "CANCEL_NEW":
        reason = "Deployment concurrency limit reached."
        return Reject(reason, Cancelled(timestamp=facts.now, message=reason))
    later = Scheduled(name="AwaitingConcurrencySlot", timestamp=facts.now, scheduled_time=facts.now + timedelta(seconds=facts.slot_wait_seconds))
    return Reject("Deployment concurrency limit reached.", later)


def drop_lease_of_old_client(transition: Transition, facts: Facts) -> Ruling | None:
    if facts.client_renews_leases or transition.proposed.state_details.deployment_concurrency_lease_id is None:
        return None
    return Amend(effects=(Claim.DROP_DEPLOYMENT_LEASE,))


def mark_only_scheduled_late(transition: Transition, facts: Facts) -> Ruling | None:
    if transition.proposed.name != "Late":
        return None
    before = transition.before
    if before is None or before.type is not _S.SCHEDULED:
        return Reject("Only scheduled runs may be marked late.")
    if before.name == "Late":
        return Reject("This run is marked late already.")
    return None


def cancel_late_when_full(transition: Transition, facts: Facts) -> Ruling | None:
    slots = facts.deployment_slots
    if transition.proposed.name != "Late" or slots is None or slots.when_full != "CANCEL_NEW" or slots.taken < slots.limit:
        return None
    reason = "Deployment concurrency limit reached."
    return Reject(reason, Cancelled(timestamp=facts.now, message=reason))


def pause(transition: Transition, facts: Facts) -> Ruling | None:
    before, details = transition.before, transition.proposed.state_details
    verb = "suspend" if transition.proposed.name == "Suspended" else "pause"
    if before is None:
        return Abort(f"Cannot {verb} flows with no state.")
    if before.type is not _S.RUNNING:
        return Reject(f"Cannot {verb} flows that are not currently running.")
    if details.pause_key is not None and details.pause_key in facts.policy.pause_keys:
        return Reject("This pause has already fired.")
    if details.pause_reschedule and facts.is_subflow:
        return Abort(f"Cannot {verb} subflows.")
    if details.pause_reschedule and not facts.has_deployment:
        return Abort(f"Cannot {verb} flows without a deployment.")
    if details.pause_key is None:
        return None
    return Amend(policy={"pause_keys": facts.policy.pause_keys | {details.pause_key}})


def resume(transition: Transition, facts: Facts) -> Ruling | None:
    before, proposed = transition.before, transition.proposed
    assert before is not None
    if proposed.type in TERMINAL_STATES:
        return None
    if proposed.type not in (_S.RUNNING, _S.SCHEDULED):
        return Reject(f"This run cannot transition to the {proposed.type.value} state from the {before.type.value} state.")
    if before.state_details.pause_reschedule and not facts.has_deployment:
        return Reject("Cannot reschedule a paused flow run without a deployment.")
    timeout = before.state_details.pause_timeout
    if timeout is not None and timeout < facts.now:
        done = "suspended" if before.state_details.pause_reschedule else "paused"
        reason = f"The flow was {done} and never resumed."
        return Reject(reason, Failed(timestamp=facts.now, message=reason))
    return Amend(policy={"resuming": True})


def carry_scheduled_time(transition: Transition, facts: Facts) -> Ruling | None:
    assert transition.before is not None
    if transition.proposed.state_details.scheduled_time is not None:
        return None
    return Amend(details={"scheduled_time": transition.before.state_details.scheduled_time})


def wait_for_scheduled_time(transition: Transition, facts: Facts) -> Ruling | None:
    assert transition.before is not None
    scheduled = transition.before.state_details.scheduled_time
    if scheduled is None or scheduled <= facts.now:
        return None
    return Wait(ceil((scheduled - facts.now).total_seconds()), "Scheduled time is in the future")


def retry_failed_flow(transition: Transition, facts: Facts) -> Ruling | None:
    if facts.run_count > facts.policy.retries:
        return Amend(policy={"retry_type": None})
    proposed = transition.proposed
    later = AwaitingRetry(
        timestamp=facts.now,
        scheduled_time=facts.now + timedelta(seconds=retry_delay_seconds(facts.policy, facts.run_count, facts.random)),
        message=proposed.message,
        data=proposed.data,
    )
    return Reject("Retrying", later, policy={"resuming": False, "pause_keys": frozenset(), "retry_type": "in_process"})


def _kinds(*kinds: StateType) -> frozenset[StateType | None]:
    return frozenset(kinds)


_SLOTS = frozenset({Need.DEPLOYMENT_SLOTS})

KEEP_LEASE = Rule("keep-deployment-lease", ANY, ANY, keep_deployment_lease, "The lease of the deployment's slot is carried from state to state.")
NO_INFRASTRUCTURE = Rule(
    "cancel-without-infrastructure",
    _kinds(_S.SCHEDULED, _S.PAUSED),
    _kinds(_S.CANCELLING),
    cancel_without_infrastructure,
    "A run without infrastructure (scheduled and not started, or suspended) is Cancelled at once.",
)
ONLY_SCHEDULED_LATE = Rule(
    "mark-only-scheduled-late",
    ANY,
    _kinds(_S.SCHEDULED),
    mark_only_scheduled_late,
    "Only a scheduled run becomes Late, and only once.",
)

LOST_CLAIM = Rule(
    "keep-lost-claims-out",
    ANY,
    ANY,
    keep_lost_claims_out,
    "A process that was started for a worker says nothing more of a run that was taken again meanwhile, since that worker seemed dead.",
)

FLOW_RULES: tuple[Rule, ...] = (
    LOST_CLAIM,
    KEEP_LEASE,
    Rule(
        "refuse-repeated-transition",
        ANY,
        ANY,
        refuse_repeated_transition,
        "A proposal whose `transition_id` is that of the present state came twice: the present state is the answer.",
    ),
    Rule(
        "guard-final-state",
        TERMINAL,
        ANY,
        guard_final_flow_state,
        "A run that has ended is not cancelled, paused or crashed, never loses a persisted result, and is rescheduled only with a deployment.",
    ),
    Rule(
        "finish-cancelling",
        _kinds(_S.CANCELLING),
        every_but(_S.CANCELLED),
        finish_cancelling,
        "A run that is being cancelled becomes Cancelled and nothing else.",
    ),
    NO_INFRASTRUCTURE,
    Rule(
        "guard-pending",
        _kinds(_S.PENDING, _S.CANCELLING, _S.RUNNING, _S.CANCELLED),
        _kinds(_S.PENDING),
        guard_pending,
        "Only one process takes a run: PENDING is entered once, save for the names that tell how far its infrastructure is.",
    ),
    Rule(
        "check-deployment-slot",
        _kinds(_S.PENDING),
        _kinds(_S.RUNNING),
        check_deployment_slot,
        "The slot taken at PENDING is still held, or another is taken; else the run is Cancelled.",
        _SLOTS,
    ),
    Rule(
        "take-deployment-slot",
        every_but(_S.PENDING, _S.RUNNING, _S.CANCELLING),
        _kinds(_S.PENDING),
        take_deployment_slot,
        "A run of a deployment with a concurrency limit takes a slot, waits for one, or is Cancelled, as the deployment says.",
        _SLOTS,
    ),
    Rule(
        "drop-lease-of-old-client",
        _kinds(_S.PENDING),
        _kinds(_S.RUNNING, _S.CANCELLING),
        drop_lease_of_old_client,
        "The slot of a run whose client does not renew leases is its own until it leaves it.",
        _SLOTS,
    ),
    ONLY_SCHEDULED_LATE,
    Rule("pause", ANY, _kinds(_S.PAUSED), pause, "Only a running flow is paused, once for each key; suspending needs a deployment and no parent."),
    Rule(
        "resume",
        _kinds(_S.PAUSED),
        every_but(),
        resume,
        "A paused run runs on, is scheduled, or ends; after its timeout it fails instead.",
    ),
    Rule("carry-scheduled-time", _kinds(_S.SCHEDULED), _kinds(_S.PENDING), carry_scheduled_time, "PENDING keeps the time that SCHEDULED gave."),
    Rule(
        "wait-for-scheduled-time",
        _kinds(_S.SCHEDULED, _S.PENDING),
        _kinds(_S.RUNNING),
        wait_for_scheduled_time,
        "A run does not start before its time.",
    ),
    Rule("retry-failed-flow", _kinds(_S.RUNNING), _kinds(_S.FAILED), retry_failed_flow, "A failed run with retries left awaits its retry."),
)
"""What a proposed state of a flow run is judged by."""

FORCED_FLOW_RULES: tuple[Rule, ...] = (
    LOST_CLAIM,
    Rule(
        "keep-result",
        _kinds(_S.COMPLETED),
        _kinds(_S.COMPLETED),
        keep_result,
        "A completed run with a persisted result is not replaced by one without.",
    ),
    KEEP_LEASE,
    NO_INFRASTRUCTURE,
)
"""What even a forced state of a flow run is judged by."""

LATE_RULES: tuple[Rule, ...] = (
    ONLY_SCHEDULED_LATE,
    Rule(
        "cancel-late-when-full",
        _kinds(_S.SCHEDULED),
        _kinds(_S.SCHEDULED),
        cancel_late_when_full,
        "A late run of a full deployment that cancels new runs is Cancelled.",
        _SLOTS,
    ),
)
"""What the service that marks late runs is judged by."""
