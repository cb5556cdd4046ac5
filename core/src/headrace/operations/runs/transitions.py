"""Writing a state: the facts are read, the rules decide, the state row and the run row are written, all in one transaction."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.errors import ObjectNotFound
from headrace.model.orchestration import (
    OrchestrationResult,
    SetState,
    SetStateStatus,
    StateAbortDetails,
    StateAcceptDetails,
    StateRejectDetails,
    StateWaitDetails,
)
from headrace.model.states import State, StateCreate, StateDetails, StateType
from headrace.operations.runs.encoding import build, details_in, details_out, state_out, without_usual
from headrace.rules.bookkeeping import Books, advance, frees_slots, unique_timestamp
from headrace.rules.flow_rules import FLOW_RULES, FORCED_FLOW_RULES, LATE_RULES
from headrace.rules.task_rules import BACKGROUND_TASK_RULES, FORCED_TASK_RULES, TASK_RULES
from headrace.rules.transitions import Claim, Decision, Facts, Need, Policy, Rule, TagLimit, Transition, decide, needs_of
from headrace.store.codec import id_out, json_in, json_out, microseconds, moment, time_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

Kind = Literal["flow_run", "task_run"]


@dataclass(slots=True)
class Run:
    """What is known of the run whose state is to change."""

    kind: Kind
    id: UUID
    state: State | None
    books: Books
    policy: dict[str, Any]
    owner: bytes | None = None
    parent_task_run_id: UUID | None = None
    deployment_id: UUID | None = None
    infrastructure_pid: str | None = None
    is_anothers: bool = False
    claim_is_lost: bool = False
    flow_run_run_count: int = 0
    flow_run_id: UUID | None = None
    tags: tuple[str, ...] = ()


def set_flow_run_state(
    tx: Transaction,
    run_id: UUID,
    body: SetState,
    owner: UUID | None = None,
    claim: UUID | None = None,
    rules: tuple[Rule, ...] | None = None,
) -> OrchestrationResult:
    """Propose a state for a flow run; the task run that stands for it in a parent follows. Raises `ObjectNotFound`.

    `owner` is the process that proposes. `claim` is the id of the state by which a worker took the run, if a worker started that process; to
    take a run, it is the id of the scheduled state that the worker saw.
    """
    tx.lock("flow_run", "id", [run_id.bytes])
    row = tx.sql_one(statements.SELECT_FLOW_RUN_BOOKS, (run_id.bytes,))
    if row is None:
        raise ObjectNotFound(help_message=f"Flow run with id {run_id} not found")
    run = _run("flow_run", run_id, row)
    run.owner, parent, deployment, run.infrastructure_pid = row[11:15]
    run.parent_task_run_id, run.deployment_id = id_out(parent), id_out(deployment)
    if owner is not None:
        run.is_anothers = run.owner not in (None, owner.bytes)
        run.claim_is_lost = claim is not None and _is_lost(tx, run, claim)
        run.owner = owner.bytes
    result = _propose(tx, run, body, rules or (FORCED_FLOW_RULES if body.force else FLOW_RULES))
    if run.parent_task_run_id is not None and result.state is not None and result.state is not run.state:
        _mirror(tx, run, result.state)
    return result


def _is_lost(tx: Transaction, run: Run, claim: UUID) -> bool:
    """Say whether a run that was seen waiting waits no more, or whether somebody took it after the worker whose claim this is."""
    seen = tx.sql_one("SELECT type FROM flow_run_state WHERE id = ?", (claim.bytes,))
    if seen is not None and seen[0] == StateType.SCHEDULED:
        return run.state is None or run.state.type is not StateType.SCHEDULED
    if not run.is_anothers:
        return False
    taken = "SELECT id FROM flow_run_state WHERE flow_run_id = ? AND name = 'Pending' ORDER BY timestamp DESC LIMIT 1"
    row = tx.sql_one(taken, (run.id.bytes,))
    return row is not None and row[0] != claim.bytes


def mark_late(tx: Transaction, run_id: UUID) -> OrchestrationResult:
    """Propose Late for a run that should have begun. Raises `ObjectNotFound`.

    It is rejected for a run that is not scheduled, or late already; a run of a full deployment that cancels new runs is Cancelled instead.
    """
    row = tx.sql_one("SELECT next_scheduled_start_time FROM flow_run WHERE id = ?", (run_id.bytes,))
    details = StateDetails(scheduled_time=moment(row[0]) if row is not None and row[0] is not None else None)
    late = StateCreate(type=StateType.SCHEDULED, name="Late", state_details=details)
    return set_flow_run_state(tx, run_id, SetState(state=late), rules=LATE_RULES)


def set_task_run_state(tx: Transaction, run_id: UUID, body: SetState) -> OrchestrationResult:
    """Propose a state for a task run. Raises `ObjectNotFound`."""
    tx.lock("task_run", "id", [run_id.bytes])
    row = tx.sql_one(statements.SELECT_TASK_RUN_BOOKS, (run_id.bytes,))
    if row is None:
        raise ObjectNotFound(help_message=f"Task run with id {run_id} not found")
    run = _task_run(run_id, row)
    if body.force:
        rules = FORCED_TASK_RULES
    elif run.state is not None and (run.state.state_details.deferred or run.state.state_details.task_parameters_id):
        rules = BACKGROUND_TASK_RULES
    else:
        rules = TASK_RULES
    return _propose(tx, run, body, rules)


def first_state(tx: Transaction, kind: Kind, run_id: UUID, proposed: StateCreate | None, now: int) -> tuple[State, Books]:
    """Write the state that a new run begins in, Pending unless another is given. No rule speaks here."""
    state = _state(proposed, moment(now)) if proposed is not None else _pending(moment(now))
    setattr(state.state_details, f"{kind}_id", run_id)
    _insert(tx, kind, run_id, state, now)
    return state, advance(Books(), state.type, now, time_in(state.state_details.scheduled_time))


# --- reading ----------------------------------------------------------------------------------------------------------


def _run(kind: Kind, run_id: UUID, row: tuple[Any, ...]) -> Run:
    state_id, state_type, state_name, timestamp, run_count, expected, scheduled, start, end, total, policy = row[:11]
    state = None
    if state_id is not None:
        state = state_out((state_id, run_id.bytes, timestamp, state_type, state_name, *row[-3:]), of_task_run=kind == "task_run")
    books = Books(state.type if state else None, timestamp, run_count, expected, scheduled, start, end, total)
    return Run(kind, run_id, state, books, json_out(policy) or {})


def _task_run(run_id: UUID, row: tuple[Any, ...]) -> Run:
    run = _run("task_run", run_id, row)
    run.flow_run_run_count = row[11]
    run.flow_run_id = id_out(row[12])
    if run.state is not None:
        run.state.state_details.flow_run_id = run.flow_run_id
    run.tags = tuple(json_out(row[13]) or ())
    return run


def _policy(stored: dict[str, Any]) -> Policy:
    if not stored:
        return Policy()
    delay: Any = stored.get("retry_delay") or stored.get("retry_delay_seconds") or 0
    return Policy(
        retries=stored.get("retries") or stored.get("max_retries") or 0,
        retry_delay=tuple(cast("list[float]", delay)) if isinstance(delay, list) else delay,
        retry_jitter_factor=stored.get("retry_jitter_factor"),
        pause_keys=frozenset(stored.get("pause_keys") or ()),
        resuming=bool(stored.get("resuming")),
        retry_type=stored.get("retry_type"),
    )


def _facts(tx: Transaction, run: Run, proposed: State, rules: tuple[Rule, ...], now: datetime) -> Facts:
    values: dict[str, Any] = {
        "now": now,
        "run_count": run.books.run_count,
        "policy": _policy(run.policy),
        "has_deployment": run.deployment_id is not None,
        "is_subflow": run.parent_task_run_id is not None,
        "infrastructure_pid": run.infrastructure_pid,
        "is_anothers": run.is_anothers,
        "claim_is_lost": run.claim_is_lost,
        "random": random.random(),
    }
    needs = needs_of(rules, run.books.state_type, proposed.type)
    if Need.FLOW_RUN in needs and run.flow_run_id is not None:
        found = tx.sql_one("SELECT state_type, run_count FROM flow_run WHERE id = ?", (run.flow_run_id.bytes,))
        kind, count = found if found is not None else (None, 0)
        values.update(
            flow_run_id=run.flow_run_id,
            flow_run_state=StateType(kind) if kind else None,
            flow_run_run_count=count,
            seen_flow_run_run_count=run.flow_run_run_count,
        )
    if Need.CACHE in needs and proposed.state_details.cache_key:
        values["cached"] = _cached(tx, proposed.state_details.cache_key, now)
    if Need.DEPLOYMENT_SLOTS in needs and run.deployment_id is not None:
        from headrace.operations.deployments import deployment_slots

        lease = run.state.state_details.deployment_concurrency_lease_id if run.state is not None else None
        values.update(deployment_slots.read(tx, run.deployment_id, lease, now))
    if Need.TAG_LIMITS in needs and run.tags:
        from headrace.operations.limits import slots
        from headrace.rules.slots import active_slots

        limits = slots.limits_named(tx, [f"tag:{tag}" for tag in run.tags], now)
        values["tag_limits"] = tuple(
            TagLimit(limit.room.name.removeprefix("tag:"), limit.room.limit, active_slots(limit.room, now)) for limit in limits
        )
    return Facts(**values)


def _cached(tx: Transaction, key: str, now: datetime) -> State | None:
    row = tx.sql_one(statements.SELECT_CACHED_STATE, (key, microseconds(now)))
    return state_out(row, of_task_run=True) if row is not None else None


# --- deciding and writing ------------------------------------------------------------------------------------------------


def _propose(tx: Transaction, run: Run, body: SetState, rules: tuple[Rule, ...]) -> OrchestrationResult:
    proposal = body.state
    if proposal.id is not None and run.state is not None and run.state.id == proposal.id:
        return _answer(Decision("ACCEPT", run.state), run.state)  # sent twice: the first answer again
    timestamp = unique_timestamp(run.books, clock.now_us())
    now = moment(timestamp)
    proposed = _state(proposal, now)
    setattr(proposed.state_details, f"{run.kind}_id", run.id)
    decision = decide(rules, Transition(run.state, proposed), _facts(tx, run, proposed, rules, now))
    if decision.state is None:
        return _answer(decision, run.state)
    _write(tx, run, decision, decision.state, timestamp)
    return _answer(decision, decision.state)


def _write(tx: Transaction, run: Run, decision: Decision, state: State, timestamp: int) -> None:
    state.timestamp = moment(timestamp)
    details = state.state_details
    if run.kind == "flow_run":
        details.flow_run_id = run.id
    else:
        details.task_run_id, details.flow_run_id = run.id, run.flow_run_id
    books = run.books
    if decision.run_count is not None:
        books = books._replace(run_count=decision.run_count)
    policy = _next_policy(run, decision)
    is_resumed = bool(policy.get("resuming"))
    if is_resumed and (state.type is StateType.RUNNING or state.is_final()):
        policy = {key: value for key, value in policy.items() if key != "resuming"}
    after = advance(books, state.type, timestamp, time_in(details.scheduled_time), counts=not is_resumed)
    if run.deployment_id is not None and decision.effects:
        from headrace.operations.deployments import deployment_slots

        lease = deployment_slots.perform(tx, decision.effects, run.id, run.deployment_id, details.deployment_concurrency_lease_id)
        details.deployment_concurrency_lease_id = lease
    _insert(tx, run.kind, run.id, state, timestamp)
    last = run.owner
    if run.kind == "task_run":
        last = run.flow_run_run_count if decision.flow_run_run_count is None else decision.flow_run_run_count
    tx.sql(
        statements.UPDATE_FLOW_RUN_STATE if run.kind == "flow_run" else statements.UPDATE_TASK_RUN_STATE,
        (
            timestamp,
            state.id.bytes,
            state.type.value,
            state.name,
            timestamp,
            after.run_count,
            after.next_scheduled_start_time,
            after.start_time,
            after.end_time,
            after.total_run_time,
            json_in(policy or None),
            last,
            run.id.bytes,
        ),
    )
    _perform(tx, run, decision, state)
    if run.kind == "flow_run" and tx.caller.is_server:
        from headrace.operations.events.run_events import tell_flow_run_state

        tell_flow_run_state(tx, run.id, run.state, state)


def _next_policy(run: Run, decision: Decision) -> dict[str, Any]:
    if not decision.policy:
        return run.policy
    return without_usual({**run.policy, **decision.policy})


def _perform(tx: Transaction, run: Run, decision: Decision, state: State) -> None:
    """Take, store and give back what goes with the state."""
    if Claim.TAKE_TAG_SLOTS in decision.effects:
        from headrace.model.concurrency import ConcurrencyLeaseHolder
        from headrace.operations.limits import slots

        holder = ConcurrencyLeaseHolder(type="task_run", id=run.id)
        slots.take_slots(tx, [f"tag:{tag}" for tag in run.tags], 1, lease_seconds=None, holder=holder)
    if Claim.STORE_IN_CACHE in decision.effects:
        details = state.state_details
        tx.sql(statements.STORE_IN_CACHE, (details.cache_key, run.id.bytes, state.id.bytes, time_in(details.cache_expiration)))
    if run.kind == "task_run" and state.type is StateType.SCHEDULED and state.state_details.deferred:
        queue_background_run(tx, run.id, state)
    if not frees_slots(run.books.state_type, state.type):
        return
    if run.tags:
        from headrace.operations.limits import slots

        for (lease,) in tx.sql("SELECT id FROM concurrency_lease WHERE holder_type = 'task_run' AND holder_id = ?", (run.id.bytes,)):
            slots.release_lease(tx, UUID(bytes=lease))
    lease_id = run.state.state_details.deployment_concurrency_lease_id if run.state is not None else None
    if lease_id is not None:
        from headrace.operations.limits import slots

        slots.release_lease(tx, lease_id)


def queue_background_run(tx: Transaction, run_id: UUID, state: State) -> None:
    """Have a task worker take up the deferred run, from its scheduled time on."""
    from headrace.operations.runs import task_queue

    (task_key,) = tx.sql_one("SELECT task_key FROM task_run WHERE id = ?", (run_id.bytes,)) or ("",)
    scheduled = state.state_details.scheduled_time or state.timestamp
    task_queue.enqueue(tx, run_id, task_key, microseconds(scheduled))


def _mirror(tx: Transaction, run: Run, state: State) -> None:
    """Give the task run that stands for a subflow run in its parent the same state. It may not be recorded yet; then its record tells."""
    assert run.parent_task_run_id is not None
    tx.lock("task_run", "id", [run.parent_task_run_id.bytes])
    row = tx.sql_one(statements.SELECT_TASK_RUN_BOOKS, (run.parent_task_run_id.bytes,))
    if row is None:
        return
    details = state.state_details.model_copy(update={"child_flow_run_id": run.id, "flow_run_id": None, "transition_id": None})
    copy = StateCreate.model_construct(
        type=state.type, name=state.name, message=state.message, data=state.data, state_details=details, timestamp=None, id=None
    )
    _propose(tx, _task_run(run.parent_task_run_id, row), SetState.model_construct(state=copy, force=True), FORCED_TASK_RULES)


# --- states and answers ---------------------------------------------------------------------------------------------------


def _state(proposed: StateCreate, timestamp: datetime) -> State:
    return build(
        State,
        {
            "id": proposed.id or ids.new(),
            "type": proposed.type,
            "name": proposed.name,
            "timestamp": timestamp,
            "message": proposed.message,
            "data": proposed.data,
            "state_details": build(StateDetails, dict(proposed.state_details.__dict__)),
            "created": timestamp,
            "updated": timestamp,
        },
    )


def _pending(timestamp: datetime) -> State:
    proposed = StateCreate.model_construct(
        type=StateType.PENDING, name="Pending", message=None, data=None, state_details=details_out(None, None, None), timestamp=None, id=None
    )
    return _state(proposed, timestamp)


def _insert(tx: Transaction, kind: Kind, run_id: UUID, state: State, timestamp: int) -> None:
    tx.sql(
        statements.INSERT_FLOW_RUN_STATE if kind == "flow_run" else statements.INSERT_TASK_RUN_STATE,
        (
            state.id.bytes,
            run_id.bytes,
            timestamp,
            state.type.value,
            state.name,
            state.message,
            json_in(state.data),
            details_in(state.state_details),
        ),
    )


def _answer(decision: Decision, state: State | None) -> OrchestrationResult:
    match decision.status:
        case "ACCEPT":
            details = build(StateAcceptDetails, {"type": "accept_details"})
        case "REJECT":
            details = build(StateRejectDetails, {"type": "reject_details", "reason": decision.reason})
        case "ABORT":
            details = build(StateAbortDetails, {"type": "abort_details", "reason": decision.reason})
        case "WAIT":
            details = build(StateWaitDetails, {"type": "wait_details", "delay_seconds": decision.delay_seconds, "reason": decision.reason})
    return build(OrchestrationResult, {"state": state, "status": SetStateStatus(decision.status), "details": details})
