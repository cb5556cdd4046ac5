"""Running statements on a cursor of the connector: submitted, watched until they end, and stopped when the run that waits for them is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from headrace import get_run_logger
from headrace.logging import get_logger

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

R = TypeVar("R")

FIRST_POLL_SECONDS = 0.05
"""The wait before a query is asked after for the second time. It doubles up to the caller's poll frequency, so that short queries end soon."""
UNKNOWN_SECONDS_MAX = 60.0
"""How long Snowflake may say that it has not heard of a query that it took."""
FIRST_REPORT_SECONDS = 10.0
"""The age at which a query is logged to be still running; then each time it has doubled."""

UNSUBMITTED = {"timeout": 2 * 24 * 3600}
"""Options of statements that are waited for over one request: Snowflake's own limit holds (STATEMENT_TIMEOUT_IN_SECONDS, by default two days).
Otherwise the connector would stop a statement that runs longer than a request may fail to come through."""

_WORDS = re.compile(r"(?:\s|--[^\n]*|//[^\n]*|/\*.*?\*/)*([a-z]+)(?:\s+([a-z]+))?", re.IGNORECASE | re.DOTALL)
_OF_THE_SESSION = frozenset({"put", "get", "start", "commit", "rollback", "use", "set", "unset"})
_BEGIN = re.compile(r"begin(\s+(work|transaction))?(\s+name\s+\S+)?\s*;?\s*", re.IGNORECASE)  # a transaction; else a block of statements

_given_up: ContextVar[threading.Event | None] = ContextVar("headrace_snowflake_given_up", default=None)


class _GivenUp(Exception):
    """Nobody waits for the query any more."""


async def stoppable(work: Awaitable[R]) -> R:
    """Await what runs queries in a thread. When this is cancelled, the query that it waits for is stopped."""
    given_up = threading.Event()
    token = _given_up.set(given_up)
    try:
        return await work
    except BaseException:
        given_up.set()
        raise
    finally:
        _given_up.reset(token)


def run(cursor: SnowflakeCursor, statement: str, parameters: Any, options: Mapping[str, Any], poll_seconds: float) -> None:
    """Run a statement and wait for its end; then its rows can be fetched from the cursor.

    It is submitted and asked after (`execute_async`), so that it goes on through a lost connection and can be stopped. Statements that
    move files or change the session cannot be submitted, and are waited for over one request. `timeout` among the options is a limit in
    seconds.

    Raises ValueError without a statement, TimeoutError past the limit, and the connector's ProgrammingError when the statement fails.
    """
    if not statement.strip():
        raise ValueError("There is no statement to run: the operation is empty.")
    if not may_be_submitted(statement):
        wait_for(cursor, statement, parameters, options)
        return
    from snowflake.connector.errors import Error

    limits = dict(options)
    timeout = limits.pop("timeout", None)
    cursor.execute_async(statement, parameters, **limits)
    query_id = cursor.sfqid
    assert query_id is not None
    try:
        _wait(cursor.connection, query_id, poll_seconds, timeout)
    except Error:  # the query has ended badly, or Snowflake is not to be reached
        raise
    except BaseException:
        _stop(cursor, query_id)
        raise
    cursor.get_results_from_sfqid(query_id)


def wait_for(cursor: SnowflakeCursor, statement: str, parameters: Any, options: Mapping[str, Any]) -> None:
    """Run a statement over one request that waits for its end."""
    cursor.execute(statement, parameters, **{**UNSUBMITTED, **options})


def may_be_submitted(statement: str) -> bool:
    """Say whether a statement can run apart from the request that sends it. Comments before it do not matter."""
    found = _WORDS.match(statement)
    if found is None:
        return True
    first, second = (word.lower() if word else "" for word in found.groups())
    if first == "begin":
        return _BEGIN.fullmatch(statement, found.start(1)) is None
    return first not in _OF_THE_SESSION and (first, second) != ("alter", "session")


def _wait(connection: SnowflakeConnection, query_id: str, poll_seconds: float, timeout: float | None) -> None:
    given_up = _given_up.get() or threading.Event()
    began = time.monotonic()
    pause, report_at = FIRST_POLL_SECONDS, FIRST_REPORT_SECONDS
    while True:
        status = connection.get_query_status_throw_if_error(query_id)
        if not connection.is_still_running(status):
            return
        waited = time.monotonic() - began
        if timeout and waited >= timeout:
            raise TimeoutError(f"The query {query_id} was stopped: it ran longer than its timeout of {timeout} s.")
        if status.name == "NO_DATA" and waited >= UNKNOWN_SECONDS_MAX:
            raise RuntimeError(
                f"Snowflake took the query {query_id}, and for {UNKNOWN_SECONDS_MAX:.0f} s says nothing about it. Look for it in the query history."
            )
        if waited >= report_at:
            logger().info("Query %s has not ended after %.0f s (%s).", query_id, waited, status.name)
            report_at *= 2
        if given_up.wait(min(pause, timeout - waited) if timeout else pause):
            raise _GivenUp(query_id)
        pause = min(pause * 2, max(poll_seconds, FIRST_POLL_SECONDS))


def _stop(cursor: SnowflakeCursor, query_id: str) -> None:
    """Stop a query that nobody waits for; it may have ended by itself."""
    try:
        connection = cursor.connection
        if connection.is_still_running(connection.get_query_status(query_id)):
            cursor.abort_query(query_id)
            logger().warning("Query %s was stopped, because nothing waits for it any more.", query_id)
    except Exception as error:  # noqa: BLE001  # the reason why it is to be stopped is what the caller must see
        logger().warning("Query %s could not be stopped and may still run: %s: %s", query_id, type(error).__name__, error)


def logger() -> Any:
    """Return the run's logger, or an ordinary one outside runs."""
    try:
        return get_run_logger()
    except RuntimeError:  # no run is active
        return get_logger("headrace_snowflake")
