"""Running users' state hooks: in order, inside the run's context; what one raises is logged and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from headrace.data.functions import hook_name
from headrace.engine import logs

if TYPE_CHECKING:
    from headrace.data.task_record import TaskRecord
    from headrace.engine.context import FlowRunContext
    from headrace.engine.ports import Ports


async def run_hooks(
    hooks: Iterable[Callable[..., Any]],
    arguments: Callable[[], tuple[Any, ...]],
    frame: FlowRunContext | None,
    record: TaskRecord | None,
    ports: Ports,
) -> None:
    """Call each hook with `arguments()`, made once for all. Async hooks are waited for."""
    values = arguments()
    for hook in hooks:
        name = hook_name(hook)
        _say(frame, record, 10, "Running hook %r in response to entering state %r", name, values[-1].name)
        try:
            await ports.call(hook, values, {})
        except Exception as error:  # noqa: BLE001  # a user's hook: reported, and the run goes on
            _say(
                frame,
                record,
                40,
                "An error was encountered while running hook %r: %s: %s",
                name,
                type(error).__name__,
                error,
                exc_info=error,
            )
        else:
            _say(frame, record, 10, "Hook %r finished running successfully", name)


def _say(
    frame: FlowRunContext | None, record: TaskRecord | None, level: int, message: str, *values: Any, exc_info: BaseException | None = None
) -> None:
    flow_run, flow_name = (frame.flow_run, frame.flow.name) if frame is not None else (None, None)
    if record is not None:
        logs.task_log(record, flow_run, flow_name, level, message, *values, exc_info=exc_info)
    elif flow_run is not None:
        logs.flow_log(flow_run, flow_name or "", level, message, *values, exc_info=exc_info)
