"""Log lines of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headrace.model import ids
from headrace.model.endpoints import logs as endpoints
from headrace.model.logs import Log, LogCreate
from headrace.model.run_queries import LogQuery
from headrace.operations.encoding import build
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
    """List log lines."""
    columns = ", ".join(statements.LOG_COLUMNS)
    return [log_out(row) for row in tx.sql(f"SELECT {columns} FROM log ORDER BY timestamp LIMIT 200")]


OPERATIONS = {
    endpoints.CREATE_LOGS: Operation(create_logs, writes=True),
    endpoints.FILTER_LOGS: Operation(filter_logs, writes=False),
}
