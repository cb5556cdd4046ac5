"""Keeping log records with their runs: the handler that hands them to this process's outbox."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.client import current_run
from headrace.logs.names import ROOT_NAME
from headrace.logs.secrets import redacted
from headrace.model import ids
from headrace.model.errors import MissingContextError
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.client.spool import Spool

Sink = Callable[[dict[str, Any]], None]
LogRow = list[Any]
"""[id, name, level, message, microseconds since the epoch, flow run id or None, task run id or None]"""

CUT = " ... [truncated]"

_FIELDS = ("id", "name", "level", "message", "timestamp_us", "flow_run_id", "task_run_id")

_sink: Sink | None = None
_policy: tuple[object, bool, int] = (None, True, 0)


def set_api_log_sink(sink: Sink | None) -> None:
    """Give log records to `sink` instead of this process's outbox, as in a process that cannot reach the store; None ends that."""
    global _sink
    _sink = sink


def emit_api_log(log: dict[str, Any]) -> None:
    """Hand on a log record that a sink received: to this process's sink, or else to its outbox."""
    if _sink is not None:
        _sink(log)
        return
    from headrace.client.recording import spool

    spool().append_log([log[field] for field in _FIELDS])


class APILogHandler(logging.Handler):
    """Keep the records of runs with the runs. Records with `send_to_api=False` are left out.

    A record belongs to the run that its fields `flow_run_id` and `task_run_id` name, else to the one that the code runs in.
    With neither, the setting `logging.to_api.when_missing_flow` decides: "warn", "error" (`MissingContextError`) or "ignore".
    """

    def __init__(self, level: int | str = logging.NOTSET) -> None:
        """Take records of at least `level`."""
        super().__init__(level)
        self._spool: Spool | None = None
        self._reported = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record; on disk when this returns. What goes wrong is reported once and never raised."""
        enabled, size_max = _limits()
        if not enabled or not getattr(record, "send_to_api", True):
            return
        row = self._row(record, size_max)
        if row is None:
            return
        try:
            if _sink is not None:
                _sink(dict(zip(_FIELDS, row, strict=True)))
                return
            from headrace.client.recording import spool

            self._spool = spool()
            self._spool.append_log(row)
        except Exception as error:  # noqa: BLE001  # the border to the store: a log line must not end the run that wrote it
            self._report(error)

    def prepare(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what is kept of a record: name, level, message, time and runs."""
        row = self._row(record, _limits()[1])
        return dict(zip(_FIELDS, row, strict=True)) if row is not None else {}

    def _row(self, record: logging.LogRecord, size_max: int) -> LogRow | None:
        found = self._find_runs(record)
        if found is None:
            return None
        flow_run_id, task_run_id = found
        return [
            ids.new_text(),
            record.name,
            record.levelno,
            _cut(redacted(self._text(record)), size_max),
            int(record.created * 1_000_000),
            str(flow_run_id) if flow_run_id is not None else None,
            str(task_run_id) if task_run_id is not None else None,
        ]

    def _find_runs(self, record: logging.LogRecord) -> tuple[Any, Any] | None:
        found = (getattr(record, "flow_run_id", None), getattr(record, "task_run_id", None))
        if found == (None, None):
            found = current_run.run_ids()
            if found == (None, None):
                _miss(record)
                return None
        return found

    def _text(self, record: logging.LogRecord) -> str:
        if self.formatter is not None or record.exc_info or record.stack_info:
            return self.format(record)
        return record.getMessage()

    def _report(self, error: Exception) -> None:
        if self._reported:
            return
        self._reported = True
        logging.getLogger(f"{ROOT_NAME}.logging").warning(
            "Logs of runs cannot be kept, so they are on the console alone: %s", redacted(str(error) or type(error).__name__)
        )

    def flush(self) -> None:
        """Deliver every record kept so far; does nothing when this process kept none."""
        if self._spool is not None:
            try:
                self._spool.flush()
            except Exception as error:  # noqa: BLE001  # as in `emit`; what was not delivered stays on disk
                self._report(error)

    @classmethod
    async def aflush(cls) -> None:
        """Deliver every record kept so far by handlers of this process, without blocking the event loop."""
        from headrace.objects.offload import offload

        for handler in _handlers(cls):
            await offload(handler.flush)


class WorkerAPILogHandler(APILogHandler):
    """Keep the records of workers that the API knows by an id (`worker_id`), without a run; others are left out."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record of a worker; on disk when this returns."""
        if getattr(record, "worker_id", None):
            super().emit(record)

    def prepare(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what is kept of a record, and the worker's id."""
        return {**super().prepare(record), "worker_id": getattr(record, "worker_id", None)}

    def _find_runs(self, record: logging.LogRecord) -> tuple[Any, Any] | None:
        return getattr(record, "flow_run_id", None), getattr(record, "task_run_id", None)


def _handlers(kind: type[APILogHandler]) -> list[APILogHandler]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    found = (handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers)
    return list({id(handler): handler for handler in found if isinstance(handler, kind)}.values())


def _limits() -> tuple[bool, int]:
    """Return whether records are kept, and how many bytes of one at most."""
    global _policy
    settings = get_current_settings()
    if _policy[0] is not settings:
        to_api = settings.logging.to_api
        _policy = (settings, to_api.enabled, to_api.max_log_size)
    return _policy[1], _policy[2]


def _cut(message: str, size_max: int) -> str:
    if len(message) * 4 <= size_max:  # no character takes more than four bytes
        return message
    content = message.encode("utf-8", "surrogatepass")
    if len(content) <= size_max:
        return message
    return content[: max(size_max - len(CUT), 0)].decode("utf-8", "ignore") + CUT


def _miss(record: logging.LogRecord) -> None:
    wanted = get_current_settings().logging.to_api.when_missing_flow
    if wanted == "ignore":
        return
    message = (
        f"Logger {record.name!r} was used outside a run, so its record belongs to no run and is not kept: "
        f"{record.filename}:{record.lineno}. Use it inside a flow or task, give the record `flow_run_id` by `extra`, "
        "or set HEADRACE_LOGGING_TO_API_WHEN_MISSING_FLOW=ignore."
    )
    if wanted == "error":
        raise MissingContextError(message)
    warnings.warn(message, stacklevel=8)
