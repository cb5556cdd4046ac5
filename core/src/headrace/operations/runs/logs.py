"""Log lines of runs."""

from __future__ import annotations

from headrace.model import ids
from headrace.model.endpoints import logs as endpoints
from headrace.model.logs import LogCreate
from headrace.operations.table import Operation
from headrace.store.codec import id_in, microseconds
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def create_logs(tx: Transaction, body: list[LogCreate]) -> None:
    """Store log lines. NUL characters, which no text column holds, are left out."""
    lines = [
        (
            line.id or ids.new(),
            line.name,
            line.level,
            line.message.replace("\0", ""),
            microseconds(line.timestamp),
            line.flow_run_id,
            line.task_run_id,
        )
        for line in body
    ]
    tx.sql_many(
        statements.RECORD_LOG,
        [
            (id.bytes, timestamp, level, name, message, id_in(flow_run_id), id_in(task_run_id))
            for id, name, level, message, timestamp, flow_run_id, task_run_id in lines
        ],
    )
    if tx.caller.is_server:
        tx.publish("logs", lines)


OPERATIONS = {
    endpoints.CREATE_LOGS: Operation(create_logs, writes=True),
}
