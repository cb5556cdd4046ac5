"""Whether and when a failed task is tried again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from headrace.data.functions import hook_name
from headrace.engine import logs

if TYPE_CHECKING:
    from headrace.engine.outcome import Outcome
    from headrace.engine.ports import Ports
    from headrace.engine.task_run import TaskCall

_random = random.Random()


def delay_before(attempt: int, delays: Any, jitter_factor: float | None, draw: float) -> float:
    """Return the seconds to wait before attempt `attempt` (2 is the first repetition).

    `delays`: a number or a list whose last value repeats. With a jitter factor `f` the wait is drawn evenly from `[d, d * (1 + f)]`;
    `draw` is the number in [0, 1) to draw with.
    """
    if isinstance(delays, (list, tuple)):
        delay = float(delays[min(attempt - 2, len(delays) - 1)]) if delays else 0.0  # pyright: ignore[reportUnknownArgumentType]  # checked below
    else:
        delay = float(delays or 0)
    return delay * (1 + jitter_factor * draw) if jitter_factor else delay


async def next_delay(call: TaskCall, outcome: Outcome, ports: Ports) -> float | None:
    """Return the seconds until the next attempt, or None when the failure is final."""
    record, task = call.record, call.task
    if record.run_count > record.retries:
        return None
    if task.retry_condition_fn is not None and not await _condition_holds(call, outcome, ports):
        return None
    return delay_before(record.run_count + 1, record.retry_delay, record.retry_jitter_factor, _random.random())


async def _condition_holds(call: TaskCall, outcome: Outcome, ports: Ports) -> bool:
    """Ask the user's condition about the failure; one that raises is logged and means no."""
    from headrace.model.states import Failed

    condition, record, frame = call.task.retry_condition_fn, call.record, call.frame
    assert condition is not None
    state = Failed(name=outcome.name, message=outcome.message, data=outcome.data)
    try:
        return bool(await ports.call(condition, (call.task, record.model(), state), {}))
    except Exception as error:  # noqa: BLE001  # a user's function: reported, and the failure stays
        flow_run, flow_name = (frame.flow_run, frame.flow.name) if frame is not None else (None, None)
        logs.task_log(
            record, flow_run, flow_name, 40, "An error was encountered while running `retry_condition_fn` %r: %s: %s. The task is not retried.",
            hook_name(condition), type(error).__name__, error, exc_info=error,
        )  # fmt: skip
        return False
