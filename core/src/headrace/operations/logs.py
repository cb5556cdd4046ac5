"""Log lines of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headrace.model import ids
from headrace.model.endpoints import logs as endpoints
from headrace.model.logs import Log, LogCreate, LogSort
from headrace.model.run_queries import LogQuery
from headrace.operations.conditions import Conditions
from headrace.operations.encoding import build
from headrace.operations.pages import page_limit
from headrace.operations.run_conditions import log_where
from headrace.operations.table import Operation
from headrace.store.codec import id_in, id_out, microseconds, time_out
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def create_logs(tx: Transaction, body: list[LogCreate]) -> None:
    """Store log lines. NUL characters, which no text column holds, are left out."""
    tx.sql_many(
        statements.RECORD_LOG,
        [
            (
                (line.id or ids.new()).bytes,
                microseconds(line.timestamp),
                line.level,
                line.name,
                line.message.replace("\0", ""),
                id_in(line.flow_run_id),
                id_in(line.task_run_id),
            )
            for line in body
        ],
    )


def log_out(row: Sequence[Any]) -> Log:
    """Read a row of `LOG_COLUMNS`."""
    when = time_out(row[1])
    return build(
        Log,
        {
            "id": UUID(bytes=row[0]),
            "created": when,
            "updated": when,
            "name": row[3],
            "level": row[2],
            "message": row[4],
            "timestamp": when,
            "flow_run_id": id_out(row[5]),
            "task_run_id": id_out(row[6]),
        },
    )


def filter_logs(tx: Transaction, body: LogQuery) -> list[Log]:
    """List log lines; those of one moment in the order in which they were written."""
    where = log_where(body.logs, "l") if body.logs is not None else Conditions()
    joined = where.joined(body.logs.operator if body.logs is not None else "and_")
    order = "l.timestamp, l.id" if body.sort is LogSort.TIMESTAMP_ASC else "l.timestamp DESC, l.id DESC"
    columns = ", ".join(f"l.{name}" for name in statements.LOG_COLUMNS)
    text = f"SELECT {columns} FROM log l WHERE {joined} ORDER BY {order} LIMIT ? OFFSET ?"
    return [log_out(row) for row in tx.sql(text, (*where.values, page_limit(body.limit), body.offset))]


OPERATIONS = {
    endpoints.CREATE_LOGS: Operation(create_logs, writes=True),
    endpoints.FILTER_LOGS: Operation(filter_logs, writes=False),
}
