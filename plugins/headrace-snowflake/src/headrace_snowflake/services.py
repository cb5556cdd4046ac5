"""Statements about job services of Snowpark Container Services, and the sessions that they are sent over. Nothing here knows of runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from headrace_snowflake.credentials import SnowflakeCredentials, is_connector_5

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

STATEMENT_SECONDS_MAX = 100
"""How long one statement may take. Job services are started without waiting for them, so all are short."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_NO_SUCH_OBJECT = 2003  # "does not exist or not authorized"
_ALREADY_THERE = 2002
_CANCELLED = 604  # by the connector, after its time limit
_SESSION_IS_OVER = frozenset({250002, 390104, 390111, 390112, 390113, 390114, 390115, 390195})
"""Errors that say that the session ended before the statement was looked at (snowflake/connector/network.py, and the connector's own)."""


class SessionLost(Exception):
    """The answer to a statement was lost, so there is no telling whether it was carried out."""


class Sessions:
    """A session for each way of logging in, opened when it is needed and again when it has ended. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, SnowflakeConnection] = {}

    def rows(self, credentials: SnowflakeCredentials, statement: str) -> list[dict[str, Any]]:
        """Run a statement and return its rows, by names of columns in lower case.

        Raises `InfrastructureNotAvailable` when Snowflake is not to be reached, `InfrastructureNotFound` for an object that is not there,
        `SessionLost` when the answer was lost, and the connector's errors for all else.
        """
        from snowflake.connector.errors import Error

        try:
            return self._rows_over(self._session(credentials), statement)
        except Error as error:
            if error.errno not in _SESSION_IS_OVER:
                raise
        self._forget(credentials)
        return self._rows_over(self._session(credentials), statement)

    def close(self) -> None:
        """End all sessions."""
        with self._lock:
            sessions, self._open = list(self._open.values()), {}
        for session in sessions:
            session.close()

    def _rows_over(self, session: SnowflakeConnection, statement: str) -> list[dict[str, Any]]:
        from snowflake.connector import DictCursor

        with _translated(), session.cursor(DictCursor) as cursor:
            cursor.execute(statement, timeout=STATEMENT_SECONDS_MAX)
            return [{str(name).lower(): value for name, value in dict(row).items()} for row in cursor.fetchall()]

    def _session(self, credentials: SnowflakeCredentials) -> SnowflakeConnection:
        from snowflake.connector.errors import OperationalError

        key = _key(credentials)
        with self._lock:
            found = self._open.get(key)
            if found is None or found.is_closed() or found.expired:
                limits = {"query_timeout": STATEMENT_SECONDS_MAX} if is_connector_5() else {}  # there it is not a statement's own
                try:
                    found = self._open[key] = credentials.get_client(**limits)
                except OperationalError as error:
                    raise InfrastructureNotAvailable(f"Snowflake cannot be reached: {error.msg}") from error
            return found

    def _forget(self, credentials: SnowflakeCredentials) -> None:
        with self._lock:
            ended = self._open.pop(_key(credentials), None)
        if ended is not None:
            ended.close()


def _key(credentials: SnowflakeCredentials) -> str:
    return json.dumps(credentials.model_dump(mode="json", context={"include_secrets": True}), sort_keys=True)


@contextmanager
def _translated() -> Iterator[None]:
    """Tell a statement that was refused from an answer that was lost."""
    from snowflake.connector.errors import DatabaseError, Error, InterfaceError, OperationalError, ProgrammingError

    try:
        yield
    except ProgrammingError as error:
        if error.errno == _NO_SUCH_OBJECT:
            raise InfrastructureNotFound(error.msg or "It does not exist, or the role may not see it.") from error
        if error.errno == _CANCELLED:
            raise SessionLost(error.msg) from error
        raise
    except (OperationalError, InterfaceError) as error:
        raise SessionLost(error.msg) from error
    except DatabaseError:
        raise
    except Error as error:  # HTTP errors of the connector: 5xx, 429, time limits
        raise SessionLost(error.msg) from error


# --- statements


@dataclass(frozen=True, slots=True)
class Pool:
    """A compute pool, and the database and schema in which its jobs are made: `database.schema.pool`."""

    database: str
    schema: str
    name: str

    @classmethod
    def parsed(cls, text: str | None) -> Pool:
        """Read `database.schema.pool`. Raises `ValueError`."""
        parts = (text or "").split(".")
        if len(parts) != 3:
            raise ValueError(
                f"The compute pool is {text!r}. Give it as `database.schema.pool`: jobs are made in that database and schema, and run in that pool."
            )
        return cls(*(identifier(part, "a part of the compute pool") for part in parts))


def identifier(text: str, what: str) -> str:
    """Return a name that needs no quotes, as services and what belongs to them must have. Raises `ValueError`."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot be {what}: only letters, digits, `_` and `$` can stand in it, and no digit first.")
    return text


def qualified(text: str, what: str) -> str:
    """Return a name of one to three parts with dots between. Raises `ValueError`."""
    parts = text.split(".")
    if len(parts) > 3:
        raise ValueError(f"{text!r} cannot be {what}: it has more than three parts.")
    return ".".join(identifier(part, what) for part in parts)


def service_name(text: str) -> str:
    """Return what a job is known by, `database.schema.service`, if it is that. Raises `ValueError`."""
    parts = text.split(".")
    if len(parts) != 3 or not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(f"{text!r} is no job of this kind: it has to be `database.schema.service`.")
    return text


def start(name: str, pool: Pool, specification: Mapping[str, Any], *, warehouse: str | None, comment: str, integrations: Sequence[str]) -> str:
    """Return the statement that starts a job service. The order of its parts matters (EXECUTE JOB SERVICE, usage notes)."""
    text = json.dumps(specification).replace("$$", "\\u0024\\u0024")  # JSON is YAML; the text must not end where a value has two dollar signs
    parts = [
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {pool.name}",
        f"FROM SPECIFICATION $${text}$$",
        f"NAME = {service_name(name)}",
        "ASYNC = TRUE",
    ]
    if warehouse:
        parts.append(f"QUERY_WAREHOUSE = {identifier(warehouse, 'a warehouse')}")
    parts.append(f"COMMENT = {literal(comment)}")
    if integrations:
        names = ", ".join(identifier(one, "an external access integration") for one in integrations)
        parts.append(f"EXTERNAL_ACCESS_INTEGRATIONS = ({names})")
    return "\n".join(parts)


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def is_there_already(error: Exception) -> bool:
    """Say whether a statement was refused since its object exists."""
    return getattr(error, "errno", None) == _ALREADY_THERE
