"""What holds a run: one list of checks on facts. Those on pools and queues are the ones that dispatch asks, in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from headrace.model.holding import Cause, Holder
from headrace.model.states import StateDetails, StateType


@dataclass(frozen=True, slots=True)
class Place:
    """A pool, a queue or a deployment: what admits runs, or does not."""

    name: str
    is_paused: bool = False
    limit: int | None = None
    active: int = 0
    holders: tuple[Holder, ...] = ()
    polled: datetime | None = None
    """When somebody last asked for its runs; None: never."""
    is_polled: bool = False
    """Whether that was lately."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A tag of a task run that is limited and has no slot for it."""

    tag: str
    limit: int
    active: int
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a run, read in one transaction."""

    id: UUID
    name: str
    kind: str
    now: datetime
    state_type: StateType | None
    state_name: str | None
    since: datetime | None
    details: StateDetails = field(default_factory=StateDetails)
    due: datetime | None = None
    waits_in_process: bool = False
    is_nested: bool = False
    deployment: Place | None = None
    pool: Place | None = None
    queue: Place | None = None
    workers_online: int = 0
    workers_seen: datetime | None = None
    other_queues: tuple[str, ...] = ()
    """Queues of the pool that are asked for while this one is not."""
    ahead: int = 0
    """Due runs that come before this one in its pool."""
    ahead_queue: str | None = None
    """The queue of most of these, if it comes before the run's own."""
    limits: tuple[Limited, ...] = ()
    task_workers: int = 0
    task_key: str | None = None


def room(limit: int | None, active: int, otherwise: int) -> int:
    """Return how many runs more a pool or queue admits; `otherwise` where it has no limit."""
    return otherwise if limit is None else limit - active


def is_full(place: Place | None) -> bool:
    """Say whether a pool, queue or deployment has no room for another run."""
    return place is not None and room(place.limit, place.active, 1) <= 0


def holding(facts: Facts) -> list[Cause]:
    """Return everything that holds the run, what comes first first."""
    return [cause for check in CHECKS if (cause := check(facts)) is not None]


def summary(facts: Facts, causes: list[Cause]) -> str:
    """Say in one sentence how it stands with the run."""
    what = f"{'Task' if facts.kind == 'task-run' else 'Flow'} run {facts.name!r}"
    if facts.state_type is None:
        return f"{what} has no state yet."
    if facts.state_type.value in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        return f"{what} has ended: it is {facts.state_name}. Nothing holds it."
    own = [cause for cause in causes if cause.run_id is None]
    if own:
        return f"{what} is {facts.state_name}: {own[0].message}"
    if facts.state_type is StateType.RUNNING:
        return f"{what} runs, but parts of it wait." if causes else f"{what} runs. Nothing holds it."
    if facts.state_type is StateType.PENDING:
        return f"{what} is being started. Nothing holds it."
    return f"{what} is due and nothing holds it: whoever starts runs takes it the next time that it asks."


# --- the checks -------------------------------------------------------------------------------------------------------------------


def _waits(facts: Facts) -> bool:
    """Whether the run waits to be started by somebody, and is due."""
    return facts.state_type is StateType.SCHEDULED and not facts.waits_in_process and facts.kind == "flow-run" and not _is_early(facts)


def _is_early(facts: Facts) -> bool:
    return facts.due is not None and facts.due > facts.now


def _paused(facts: Facts) -> Cause | None:
    if facts.state_type is not StateType.PAUSED:
        return None
    wants_input = bool(facts.details.run_input_keyset)
    until = f" It fails at {_time(facts.details.pause_timeout)} otherwise." if facts.details.pause_timeout else ""
    text = "it waits for input." if wants_input else "it was paused and waits to be resumed."
    data = """ --data '{"run_input": {…}}'""" if wants_input else ""
    return Cause(
        code="waiting-for-input" if wants_input else "paused",
        message=f"{text}{until}",
        since=facts.since,
        command=f"headrace api POST /flow_runs/{facts.id}/resume{data}",
    )


def _cancelling(facts: Facts) -> Cause | None:
    if facts.state_type is not StateType.CANCELLING:
        return None
    who = "the process that runs it" if facts.pool is None else f"a worker of work pool {facts.pool.name!r}"
    lost = facts.pool is not None and not facts.workers_online
    return Cause(
        code="cancelling",
        message=f"it is being cancelled, and {who} must end it first." + (" No worker of the pool is online." if lost else ""),
        since=facts.since,
        command=_start_worker(facts) if lost else None,
    )


def _in_process(facts: Facts) -> Cause | None:
    if facts.state_type is not StateType.SCHEDULED or not facts.waits_in_process:
        return None
    return Cause(
        code="awaiting-retry",
        message=f"it failed, and the process that runs it tries again at {_time(facts.due)}.",
        since=facts.since,
    )


def _early(facts: Facts) -> Cause | None:
    if facts.state_type is not StateType.SCHEDULED or facts.waits_in_process or not _is_early(facts):
        return None
    if facts.state_name == "AwaitingConcurrencySlot":
        return None  # the deployment's limit is the cause; its time says only when it is tried again
    if facts.state_name == "AwaitingRetry":
        return Cause(code="awaiting-retry", message=f"it failed, and is tried again at {_time(facts.due)}.", since=facts.since)
    start = f"headrace deployment run {_quoted(facts.deployment.name)}" if facts.deployment is not None else None
    return Cause(code="future-start", message=f"it is to start at {_time(facts.due)}.", since=facts.since, command=start)


def _deployment_full(facts: Facts) -> Cause | None:
    slots = facts.deployment
    if slots is None or not is_full(slots) or facts.state_type is not StateType.SCHEDULED:
        return None
    if facts.state_name != "AwaitingConcurrencySlot" and _is_early(facts):
        return None
    return _full(
        facts,
        "deployment-limit",
        f"deployment {slots.name!r}",
        slots,
        f"headrace deploy --name {_quoted(slots.name.partition('/')[2])} --concurrency-limit {(slots.limit or 0) + 1}",
    )


def _awaiting_slot(facts: Facts) -> Cause | None:
    if facts.state_name != "AwaitingConcurrencySlot" or is_full(facts.deployment):
        return None
    when = f" at {_time(facts.due)}" if _is_early(facts) else " the next time that it is started"
    return Cause(code="awaiting-slot", message=f"its deployment had no free slot when it was to start; that is tried again{when}.", since=facts.since)


def _pool_paused(facts: Facts) -> Cause | None:
    if not _waits(facts) or facts.pool is None or not facts.pool.is_paused:
        return None
    name = facts.pool.name
    return Cause(code="pool-paused", message=f"work pool {name!r} is paused.", command=f"headrace work-pool resume {_quoted(name)}")


def _queue_paused(facts: Facts) -> Cause | None:
    if not _waits(facts) or facts.queue is None or not facts.queue.is_paused:
        return None
    name = facts.queue.name
    command = f"headrace work-queue resume {_quoted(name)}{_in_pool(facts)}"
    return Cause(code="queue-paused", message=f"work queue {name!r} of work pool {_pool(facts)!r} is paused.", command=command)


def _pool_full(facts: Facts) -> Cause | None:
    if not _waits(facts) or facts.pool is None or not is_full(facts.pool):
        return None
    raised = f"headrace work-pool set-concurrency-limit {_quoted(facts.pool.name)} {(facts.pool.limit or 0) + 1}"
    return _full(facts, "pool-limit", f"work pool {facts.pool.name!r}", facts.pool, raised)


def _queue_full(facts: Facts) -> Cause | None:
    if not _waits(facts) or facts.queue is None or not is_full(facts.queue):
        return None
    raised = f"headrace work-queue set-concurrency-limit {_quoted(facts.queue.name)} {(facts.queue.limit or 0) + 1}{_in_pool(facts)}"
    return _full(facts, "queue-limit", f"work queue {facts.queue.name!r} of work pool {_pool(facts)!r}", facts.queue, raised)


def _no_worker(facts: Facts) -> Cause | None:
    stuck = _waits(facts) or facts.state_type is StateType.PENDING
    if not stuck or facts.pool is None or facts.workers_online:
        return None
    seen = f"the last one was seen at {_time(facts.workers_seen)}" if facts.workers_seen else "it never had one"
    text = f"work pool {facts.pool.name!r} has no worker online; {seen}."
    return Cause(code="no-worker", message=text, since=facts.workers_seen, command=_start_worker(facts))


def _other_queue(facts: Facts) -> Cause | None:
    if not _waits(facts) or facts.queue is None or not facts.workers_online or facts.queue.is_polled or not facts.other_queues:
        return None
    others = ", ".join(map(repr, facts.other_queues))
    return Cause(
        code="queue-not-served",
        message=f"no worker of work pool {_pool(facts)!r} asks for its work queue {facts.queue.name!r}; they ask for {others}.",
        since=facts.queue.polled,
        command=f"{_start_worker(facts)} --work-queue {_quoted(facts.queue.name)}",
    )


def _behind(facts: Facts) -> Cause | None:
    if not _waits(facts) or not facts.ahead or not (is_full(facts.pool) or is_full(facts.queue)):
        return None
    first = f", most of them in work queue {facts.ahead_queue!r}, which has priority" if facts.ahead_queue else ""
    return Cause(code="queue-priority", message=f"{facts.ahead} due runs come before it{first}.")


def _no_runner(facts: Facts) -> Cause | None:
    if not _waits(facts) or facts.pool is not None or facts.deployment is None or facts.deployment.is_polled or is_full(facts.deployment):
        return None
    seen = f"somebody last did at {_time(facts.deployment.polled)}" if facts.deployment.polled else "nobody ever did"
    return Cause(
        code="not-served",
        message=f"nobody serves deployment {facts.deployment.name!r}, which has no work pool; {seen}. Start the process that calls `serve` for it.",
        since=facts.deployment.polled,
        command=f"headrace flow-run execute {facts.id}",
    )


def _nobodys(facts: Facts) -> Cause | None:
    if not _waits(facts) or facts.pool is not None or facts.deployment is not None or facts.is_nested:
        return None
    return Cause(
        code="no-deployment",
        message="it belongs to no deployment and no work pool, so nobody starts it.",
        since=facts.since,
        command=f"headrace flow-run retry {facts.id} --entrypoint FILE:FLOW",
    )


def _tag_full(facts: Facts) -> Cause | None:
    if facts.kind != "task-run" or not facts.limits or facts.state_type not in (StateType.PENDING, StateType.SCHEDULED):
        return None
    first = facts.limits[0]
    others = "".join(f" So has {one.tag!r}." for one in facts.limits[1:])
    return Cause(
        code="tag-limit",
        message=f"the tag {first.tag!r} admits {first.limit} task runs at once, and {first.active} have a slot.{others}",
        since=facts.since,
        holders=list(first.holders),
        command=f"headrace concurrency-limit create {_quoted(first.tag)} {first.limit + 1}",
    )


def _no_task_worker(facts: Facts) -> Cause | None:
    if facts.kind != "task-run" or facts.state_type is not StateType.SCHEDULED or not facts.details.deferred or facts.task_workers:
        return None
    return Cause(
        code="no-task-worker",
        message=f"no task worker serves the task {facts.task_key!r}.",
        since=facts.since,
        command="headrace task serve FILE:TASK",
    )


def _not_ready(facts: Facts) -> Cause | None:
    if facts.state_name != "NotReady":
        return None
    return Cause(code="upstream-failed", message="a run that it depends on did not complete, so it will never begin.", since=facts.since)


CHECKS: tuple[Callable[[Facts], Cause | None], ...] = (
    _paused,
    _cancelling,
    _not_ready,
    _in_process,
    _early,
    _pool_paused,
    _queue_paused,
    _no_worker,
    _other_queue,
    _pool_full,
    _queue_full,
    _behind,
    _deployment_full,
    _awaiting_slot,
    _no_runner,
    _nobodys,
    _no_task_worker,
    _tag_full,
)


def deployment_causes(deployment: Place, schedules: int, active: int) -> list[Cause]:
    """Return why a deployment makes no runs by itself."""
    name = deployment.name
    if deployment.is_paused:
        return [
            Cause(
                code="deployment-paused",
                message="it is paused, so its schedules make no runs.",
                command=f"headrace deployment resume {_quoted(name)}",
            )
        ]
    if not schedules:
        create = f"headrace deployment schedule create {_quoted(name)} --interval 3600"
        return [Cause(code="no-schedule", message="it has no schedule, so it runs when it is asked to.", command=create)]
    if not active:
        resume = f"headrace deployment schedule resume {_quoted(name)}"
        return [Cause(code="schedules-paused", message=f"none of its schedules is active ({schedules} are paused).", command=resume)]
    return []


def _full(facts: Facts, code: str, what: str, place: Place, raise_it: str) -> Cause:
    oldest = place.holders[0] if place.holders else None
    limit = place.limit or 0
    taken = "it admits none" if limit <= 0 else f"{place.active} run{'s have' if place.active != 1 else ' has'} a slot"
    return Cause(
        code=code,
        message=f"{what} admits {limit} run{'s' if limit != 1 else ''} at once, and {taken}.",
        since=oldest.since if oldest is not None else None,
        holders=list(place.holders),
        command=raise_it,
    )


def _pool(facts: Facts) -> str:
    return facts.pool.name if facts.pool is not None else ""


def _in_pool(facts: Facts) -> str:
    return f" --pool {_quoted(_pool(facts))}"


def _start_worker(facts: Facts) -> str:
    return f"headrace worker start --pool {_quoted(_pool(facts))}"


def _time(moment: datetime | None) -> str:
    return moment.isoformat(" ", "seconds") if moment is not None else "an unknown time"


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
