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


OPERATIONS = {
    endpoints.CREATE_LOGS: Operation(create_logs, writes=True),
}
