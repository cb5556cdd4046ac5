"""Whether a task run's result is kept, where, and within which transaction it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.engine.flow_run import FlowCall
    from headrace.engine.outcome import Outcome
    from headrace.engine.ports import Ports
    from headrace.engine.task_run import TaskCall


def plan(call: TaskCall) -> Any:
    """Return how the run's result is kept, or None for a run that keeps nothing and takes part in no transaction."""
    return None


async def within_transaction(call: TaskCall, keeping: Any, ports: Ports) -> Outcome:
    raise AssertionError


def persists_by_default() -> bool:
    return False


async def persist_flow_result(call: FlowCall, outcome: Outcome) -> None:
    return None
