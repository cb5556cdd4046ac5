"""How a proposed state is judged: rules in order, each a pure function, and the decision that they come to.

The rules themselves stand in `flow_rules.py` and `task_rules.py`; what every written state changes on its run in `bookkeeping.py`.
A rule speaks only when the run's present state and the state first proposed are among those it names. It may let the proposal pass,
change details of it, or end the matter: `Reject` (another state is written, or the present one stays), `Wait` and `Abort` (nothing is written).

The values here are named tuples and not dataclasses because every flow run imports this file, and a dataclass takes seven times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, assert_never, cast
from uuid import UUID

from headrace.model.states import TERMINAL_STATES, State, StateType

_NOTHING: Mapping[str, Any] = MappingProxyType({})

ANY: frozenset[StateType | None] = frozenset({None, *StateType})
TERMINAL: frozenset[StateType | None] = frozenset(TERMINAL_STATES)


def every_but(*kinds: StateType | None) -> frozenset[StateType | None]:
    """Return all types of states (and None, for a run without one), less `kinds`."""
    return ANY - frozenset(kinds)


class Need(StrEnum):
    """Facts beyond the run's own row. Only those that an applying rule needs are read."""

    FLOW_RUN = "flow_run"
    CACHE = "cache"
    TAG_LIMITS = "tag_limits"
    DEPLOYMENT_SLOTS = "deployment_slots"


class Policy(NamedTuple):
    """What a run remembers of its retries and pauses. Delays count seconds."""

    retries: int = 0
    retry_delay: float | tuple[float, ...] = 0
    retry_jitter_factor: float | None = None
    pause_keys: frozenset[str] = frozenset()
    resuming: bool = False
    retry_type: Literal["in_process", "reschedule"] | None = None


class TagLimit(NamedTuple):
    """A limit on runs with a tag: how many may run, how many do."""

    tag: str
    limit: int
    taken: int


class DeploymentSlots(NamedTuple):
    """The concurrency limit of a deployment. `lease` says what became of the lease that this run holds, if it held one."""

    limit: int
    taken: int
    when_full: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    lease: Literal["none", "held", "lost"] = "none"


class Facts(NamedTuple):
    """All that a decision may look at. `random` is a number in [0, 1) for jitter."""

    now: datetime
    run_count: int = 0
    policy: Policy = Policy()
    has_deployment: bool = False
    deployment_is_gone: bool = False
    is_subflow: bool = False
    infrastructure_pid: str | None = None
    is_anothers: bool = False
    """Another process than the one that proposes has taken the run."""
    claim_is_lost: bool = False
    """The worker in whose name the proposing process was started took the run, and another has taken it since."""
    flow_run_id: UUID | None = None
    flow_run_state: StateType | None = None
    flow_run_run_count: int = 0
    seen_flow_run_run_count: int = 0
    cached: State | None = None
    tag_limits: tuple[TagLimit, ...] = ()
    deployment_slots: DeploymentSlots | None = None
    client_renews_leases: bool = True
    slot_wait_seconds: float = 30
    random: float = 0.0


class Transition(NamedTuple):
    """From the present state (None: the run has none) to a proposed one."""

    before: State | None
    proposed: State

    @property
    def from_type(self) -> StateType | None:
        return self.before.type if self.before is not None else None


class Amend(NamedTuple):
    """Let the proposal pass with other details, name or policy, and with effects once it is written."""

    name: str | None = None
    details: Mapping[str, Any] = _NOTHING
    policy: Mapping[str, Any] = _NOTHING
    run_count: int | None = None
    flow_run_run_count: int | None = None
    effects: tuple[Claim, ...] = ()


class Reject(NamedTuple):
    """Write `state` instead of the proposal; without one, the present state stays."""

    reason: str
    state: State | None = None
    policy: Mapping[str, Any] = _NOTHING


class Wait(NamedTuple):
    """Write nothing; the proposal may come again after `delay_seconds`."""

    delay_seconds: int
    reason: str


class Abort(NamedTuple):
    """Write nothing; whoever proposed this must stop."""

    reason: str


Ruling = Amend | Reject | Wait | Abort


class Claim(StrEnum):
    """What a written state takes or gives back."""

    TAKE_TAG_SLOTS = "take_tag_slots"
    TAKE_DEPLOYMENT_SLOT = "take_deployment_slot"
    RENEW_DEPLOYMENT_LEASE = "renew_deployment_lease"
    DROP_DEPLOYMENT_LEASE = "drop_deployment_lease"
    STORE_IN_CACHE = "store_in_cache"


class Rule(NamedTuple):
    """One rule. `summary` is its line in the documentation."""

    name: str
    when_from: frozenset[StateType | None]
    when_to: frozenset[StateType | None]
    decide: Callable[[Transition, Facts], Ruling | None]
    summary: str
    needs: frozenset[Need] = frozenset()

    def applies(self, from_type: StateType | None, to_type: StateType) -> bool:
        return from_type in self.when_from and to_type in self.when_to


class Decision(NamedTuple):
    """What becomes of a proposal.

    `state` is what is written (None: nothing). `policy`, `run_count` and `flow_run_run_count` are changes to the run's row that go with
    it, `effects` what is taken or stored with it. `rule` names the rule that decided, for logs and tests.
    """

    status: Literal["ACCEPT", "REJECT", "WAIT", "ABORT"]
    state: State | None
    reason: str | None = None
    delay_seconds: int = 0
    rule: str | None = None
    policy: Mapping[str, Any] = _NOTHING
    run_count: int | None = None
    flow_run_run_count: int | None = None
    effects: tuple[Claim, ...] = ()


def needs_of(rules: tuple[Rule, ...], from_type: StateType | None, to_type: StateType) -> frozenset[Need]:
    """Return the facts that the rules for this transition look at."""
    found: frozenset[Need] = frozenset()
    for rule in rules:
        if rule.needs and rule.applies(from_type, to_type):
            found |= rule.needs
    return found


def decide(rules: tuple[Rule, ...], transition: Transition, facts: Facts) -> Decision:
    """Ask the rules in order. Changes by earlier rules are dropped when a later one ends the matter: they were for another state."""
    from_type, to_type = transition.from_type, transition.proposed.type
    passed = Decision("ACCEPT", transition.proposed)
    for rule in rules:
        if not rule.applies(from_type, to_type):
            continue
        ruling = rule.decide(transition, facts)
        match ruling:
            case None:
                continue
            case Amend():
                state = amended(transition.proposed, ruling)
                transition = Transition(transition.before, state)
                passed = passed._replace(
                    state=state,
                    policy={**passed.policy, **ruling.policy},
                    run_count=passed.run_count if ruling.run_count is None else ruling.run_count,
                    flow_run_run_count=passed.flow_run_run_count if ruling.flow_run_run_count is None else ruling.flow_run_run_count,
                    effects=passed.effects + ruling.effects,
                )
            case Reject():
                return Decision("REJECT", ruling.state, ruling.reason, rule=rule.name, policy=ruling.policy)
            case Wait():
                return Decision("WAIT", None, ruling.reason, ruling.delay_seconds, rule=rule.name)
            case Abort():
                return Decision("ABORT", None, ruling.reason, rule=rule.name)
            case _:
                assert_never(ruling)
    return passed


def amended(state: State, change: Amend) -> State:
    """Return `state` with another name or details; the state given is left as it is."""
    update: dict[str, Any] = {}
    if change.name is not None:
        update["name"] = change.name
    if change.details:
        update["state_details"] = state.state_details.model_copy(update=dict(change.details))
    return state.model_copy(update=update) if update else state


def is_persisted(state: State | None) -> bool:
    """Say whether a state's result can be read again by another process."""
    if state is None or state.data is None:
        return False
    data: Any = state.data
    return not (isinstance(data, dict) and cast("dict[str, Any]", data).get("type") == "unpersisted")
