"""The two kinds of messages that are streamed, events and log lines: their ids, their text on a websocket, whether a filter wants them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.events import ReceivedEvent
from headrace.model.run_filters import LogFilter, Operator
from headrace.model.text_search import is_found
from headrace.operations import streams
from headrace.operations.streams import LogLine
from headrace.server.streams.bus import Topic
from headrace.store.codec import microseconds

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _event_id(event: ReceivedEvent) -> UUID:
    return event.id


def _event_text(event: ReceivedEvent) -> str:
    return f'{{"type":"event","event":{event.model_dump_json()}}}'


def _log_id(line: LogLine) -> UUID:
    id = line[0]
    return id if isinstance(id, UUID) else UUID(id)


def _log_text(line: LogLine) -> str:
    id, name, level, message, timestamp, flow_run_id, task_run_id = line
    log: dict[str, Any] = {
        "id": str(id),
        "created": None,
        "updated": None,
        "name": name,
        "level": level,
        "message": message,
        "timestamp": _time_text(timestamp),
        "flow_run_id": _text(flow_run_id),
        "task_run_id": _text(task_run_id),
    }
    return _encode({"type": "log", "log": log})


def _text(id: UUID | str | None) -> str | None:
    return None if id is None else str(id)


def _time_text(timestamp: int) -> str:
    return clock.from_us(timestamp).replace(tzinfo=None).isoformat() + "Z"


EVENTS = Topic("events", "events", _event_id, _event_text, streams.events_by_id)
LOGS = Topic("logs", "log", _log_id, _log_text, streams.logs_by_id)


def log_predicate(wanted: LogFilter) -> Callable[[LogLine], bool]:
    """Return what says whether a log line matches: the same as the listing of logs finds."""
    conditions = _conditions(wanted)
    if not conditions:
        return lambda line: True
    if wanted.operator is Operator.or_:
        return lambda line: any(condition(line) for condition in conditions)
    return lambda line: all(condition(line) for condition in conditions)


def _conditions(wanted: LogFilter) -> list[Callable[[LogLine], bool]]:
    found: list[Callable[[LogLine], bool]] = []
    if wanted.level is not None:
        least, most = wanted.level.ge_, wanted.level.le_
        if least is not None:
            found.append(lambda line: line[2] >= least)
        if most is not None:
            found.append(lambda line: line[2] <= most)
    if wanted.timestamp is not None:
        before, after = _us(wanted.timestamp.before_), _us(wanted.timestamp.after_)
        if before is not None:
            found.append(lambda line: line[4] <= before)
        if after is not None:
            found.append(lambda line: line[4] >= after)
    if wanted.flow_run_id is not None and wanted.flow_run_id.any_ is not None:
        flow_runs = {str(id) for id in wanted.flow_run_id.any_}
        found.append(lambda line: _text(line[5]) in flow_runs)
    if wanted.task_run_id is not None:
        if wanted.task_run_id.any_ is not None:
            task_runs = {str(id) for id in wanted.task_run_id.any_}
            found.append(lambda line: _text(line[6]) in task_runs)
        if wanted.task_run_id.is_null_ is not None:
            is_null = wanted.task_run_id.is_null_
            found.append(lambda line: (line[6] is None) is is_null)
    if wanted.text is not None:
        found.append(_text_condition(wanted.text.query))
    return found


def _us(value: datetime | None) -> int | None:
    return None if value is None else microseconds(value)


def _text_condition(query: str) -> Callable[[LogLine], bool]:
    def matches(line: LogLine) -> bool:
        texts = (line[3].lower(), line[1].lower())
        return is_found(query, lambda word: any(word in text for text in texts))

    return matches
