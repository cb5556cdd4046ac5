"""What is too long for one answer, sent page by page."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from headrace.model.errors import ObjectNotFound
from headrace.server.answers import Answer, detail
from headrace.store.codec import moment
from headrace.store.database import Database, Row

if TYPE_CHECKING:
    from headrace.server.app import Application
    from headrace.server.pages import Request

LINES_AT_ONCE = 5_000
_LEVELS = {number: name for name, number in logging.getLevelNamesMapping().items() if name not in ("WARN", "FATAL")}
_COLUMNS = ("timestamp", "level", "flow_run_id", "task_run_id", "message")


async def flow_run_logs(request: Request) -> Answer:
    """Send all log lines of a flow run as CSV, oldest first."""
    app, id = request.app, request.parameters["id"]
    try:
        name = await app.run(False, _name, app.database, id)
    except ObjectNotFound as error:
        return detail(404, str(error))
    shown = f"attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''{quote(name, safe='')}-logs.csv"
    return Answer(200, _lines(app, id), b"text/csv; charset=utf-8", ((b"content-disposition", shown.encode("ascii")),))


def _name(database: Database, id: UUID) -> str:
    with database.read() as tx:
        row = tx.sql_one("SELECT name FROM flow_run WHERE id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound(help_message=f"Flow run not found: no flow run has the id {id}.")
    return row[0]


async def _lines(app: Application, id: UUID) -> AsyncIterator[bytes]:
    yield _written([_COLUMNS])
    after: tuple[int, bytes] = (-(2**62), b"\0" * 16)
    while True:
        rows: list[Row] = await app.run(False, _page, app.database, id, after)
        if not rows:
            return
        yield _written(
            [(moment(row[0]).isoformat(), _LEVELS.get(row[2], f"Level {row[2]}"), id, row[3] and UUID(bytes=row[3]), row[4]) for row in rows]
        )
        after = (rows[-1][0], rows[-1][1])


def _page(database: Database, id: UUID, after: tuple[int, bytes]) -> list[Row]:
    with database.read() as tx:
        return tx.sql(
            "SELECT timestamp, id, level, task_run_id, message FROM log WHERE flow_run_id = ?"
            " AND (timestamp > ? OR (timestamp = ? AND id > ?)) ORDER BY timestamp, id LIMIT ?",
            (id.bytes, after[0], after[0], after[1], LINES_AT_ONCE),
        )


def _written(rows: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
