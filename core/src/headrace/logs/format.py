"""How records become text: the console's line for each kind of run, and JSON."""

from __future__ import annotations

import json
import logging
import time
import traceback
from types import TracebackType
from typing import Any, Literal

from headrace.logs.names import FLOW_RUNS_NAME, TASK_RUNS_NAME

TIME = "%(asctime)s.%(msecs)03d | %(levelname)-7s | "
STANDARD = TIME + "%(name)s - %(message)s"
FLOW_RUN = TIME + "Flow run %(flow_run_name)r - %(message)s"
TASK_RUN = TIME + "Task run %(task_run_name)r - %(message)s"
CLOCK = "%H:%M:%S"

Style = Literal["%", "{", "$"]


class HeadraceFormatter(logging.Formatter):
    """Write records of flow runs and of task runs by formats of their own.

    A record that lacks the fields of a run (as one that a library sends to such a logger) is written by `format`.
    """

    def __init__(
        self,
        format: str | None = None,
        datefmt: str | None = None,
        style: Style = "%",
        validate: bool = True,
        *,
        defaults: dict[str, Any] | None = None,
        task_run_fmt: str | None = None,
        flow_run_fmt: str | None = None,
    ) -> None:
        """Take three formats in one `style`; without one for a kind of run, `format` is used."""
        super().__init__(format, datefmt, style, validate, defaults=defaults)
        self._flow_run = _style(flow_run_fmt, style, defaults)
        self._task_run = _style(task_run_fmt, style, defaults)
        self._second = (-1, "")

    def usesTime(self) -> bool:
        return any(style is not None and style.usesTime() for style in (self._style, self._flow_run, self._task_run))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Write the time of a record; computed once a second."""
        second = int(record.created)
        known, text = self._second
        if second != known:
            if datefmt is not None:
                text = time.strftime(datefmt, time.localtime(second))
            else:
                text = super().formatTime(record, datefmt)
                return text
            self._second = (second, text)
        return text

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Write one record without its exception."""
        name = record.name
        style = None
        if name.startswith(FLOW_RUNS_NAME) and hasattr(record, "flow_run_name"):
            style = self._flow_run
        elif name.startswith(TASK_RUNS_NAME) and hasattr(record, "task_run_name"):
            style = self._task_run
        return (style or self._style).format(record)


def _style(text: str | None, style: Style, defaults: dict[str, Any] | None) -> logging.PercentStyle | None:
    return logging.Formatter(text, style=style, defaults=defaults)._style if text else None


ExceptionInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def format_exception_info(exc_info: ExceptionInfo) -> dict[str, Any]:
    """Return an exception as plain data: its `type`, its `value` and its `traceback` as text."""
    kind, error, trace = exc_info
    return {
        "type": kind.__name__ if kind is not None else None,
        "value": str(error),
        "traceback": "".join(traceback.format_tb(trace)) if trace is not None else "",
    }


class JsonFormatter(logging.Formatter):
    """Write each record as a JSON object with all its fields; `fmt` "default" on one line, "pretty" with indents."""

    def __init__(self, fmt: str = "default", dmft: str | None = None, style: Style = "%") -> None:
        """Take "default" or "pretty". Raises `ValueError` for another `fmt`."""
        super().__init__(datefmt=dmft, style=style)
        if fmt not in ("default", "pretty"):
            raise ValueError(f"The format of a JsonFormatter is {fmt!r}, but it must be 'default' or 'pretty'.")
        self._indent = 2 if fmt == "pretty" else None

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in record.__dict__.items() if key not in ("msg", "args", "exc_text")}
        fields["message"] = record.getMessage()
        if record.exc_info:
            fields["exc_info"] = format_exception_info(record.exc_info)
        return json.dumps(fields, default=str, indent=self._indent)
