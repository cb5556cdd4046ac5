"""Log records of runs: who a record belongs to, and the engine's own lines made without the cost of a logger call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from headrace.logs.names import FLOW_RUNS_NAME, TASK_RUNS_NAME, UNKNOWN

if TYPE_CHECKING:
    from headrace.data.task_record import TaskRecord
    from headrace.model.flow_runs import FlowRun


_SOURCE = "engine"  # what `%(filename)s` of the engine's own lines says

_flow_runs = logging.getLogger(FLOW_RUNS_NAME)
_task_runs = logging.getLogger(TASK_RUNS_NAME)


def flow_log(
    flow_run: FlowRun,
    flow_name: str,
    level: int,
    message: str,
    *args: Any,
    exc_info: BaseException | None = None,
    send_to_api: bool = True,
) -> None:
    """Log a line of the engine about a flow run. `send_to_api=False` keeps it off the run's stored log."""
    if not _flow_runs.isEnabledFor(level):
        return
    record = _record(FLOW_RUNS_NAME, level, message, args, exc_info)
    fields = record.__dict__
    fields["flow_run_id"] = str(flow_run.id)
    fields["flow_run_name"] = flow_run.name
    fields["flow_name"] = flow_name
    if not send_to_api:
        fields["send_to_api"] = False
    _flow_runs.handle(record)


def task_log(
    task_run: TaskRecord,
    flow_run: FlowRun | None,
    flow_name: str | None,
    level: int,
    message: str,
    *args: Any,
    exc_info: BaseException | None = None,
    send_to_api: bool = True,
) -> None:
    """Log a line of the engine about a task run, and about the flow run that it belongs to, if any."""
    if not _task_runs.isEnabledFor(level):
        return
    record = _record(TASK_RUNS_NAME, level, message, args, exc_info)
    fields = record.__dict__
    fields["task_run_id"] = task_run.id_text
    fields["task_run_name"] = task_run.name
    fields["task_name"] = task_run.task_key.rpartition("-")[0] or task_run.task_key
    fields["flow_run_id"] = str(flow_run.id) if flow_run is not None else None
    fields["flow_run_name"] = flow_run.name if flow_run is not None else UNKNOWN
    fields["flow_name"] = flow_name or UNKNOWN
    if not send_to_api:
        fields["send_to_api"] = False
    _task_runs.handle(record)


def _record(name: str, level: int, message: str, args: tuple[Any, ...], error: BaseException | None) -> logging.LogRecord:
    info = None
    if error is not None:
        from headrace.engine.final_states import user_traceback

        info = (type(error), error, user_traceback(error))
    return logging.getLogRecordFactory()(name, level, _SOURCE, 0, message, args, info)
