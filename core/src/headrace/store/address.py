"""Addresses of databases, and how a connection to PostgreSQL is opened: the address, the settings `server.database.*`, the driver's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from headrace.model.errors import StoreError

if TYPE_CHECKING:
    from headrace.settings.tree.server import ServerDatabaseSettings

POSTGRES_SCHEMES = ("postgresql", "postgres")
APPLICATION_NAME = "headrace"

_SSL_MODES = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}  # seconds: a server that is gone is noticed in a minute
_PREPARED = ("prepared_statement_cache_size", "statement_cache_size")


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """What a pool of connections needs to know. `arguments` go to the driver's `connect`; times are seconds, None sets no limit."""

    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    place: str = ""
    """Host, port and name of the database, for messages: no password in it."""
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float | None = 30.0
    pool_recycle: int = 3600
    prepares: bool = True
    migrates: bool = True
    migration_timeout: float | None = None

    def for_connection(self) -> dict[str, Any]:
        """Return the arguments for one connection. Functions among them are called: so a plugin gives passwords that are good for minutes."""
        return {name: value() if callable(value) else value for name, value in self.arguments.items()}


def is_postgres(url: str) -> bool:
    """Say whether `url` names a PostgreSQL database, by whatever driver."""
    return url.partition("://")[0].split("+")[0] in POSTGRES_SCHEMES


def postgres_options(url: str, settings: ServerDatabaseSettings, given: Mapping[str, Any]) -> PostgresOptions:
    """Read `url`, then the settings for what it leaves open; `given` wins over both. Raises `StoreError` for an option that says nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StoreError(f"The address of the database cannot be read: {error}. It is postgresql://user:password@host:port/name.") from error
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    connect = settings.sqlalchemy.connect_args
    arguments: dict[str, Any] = {
        "host": query.pop("host", None) or unquote(parts.hostname or "") or None,
        "port": query.pop("port", None) or port,
        "user": query.pop("user", None) or unquote(parts.username or "") or None,
        "password": query.pop("password", None) or unquote(parts.password or "") or None,
        "dbname": query.pop("dbname", None) or query.pop("database", None) or unquote(parts.path.lstrip("/")) or None,
        "application_name": connect.application_name or APPLICATION_NAME,
        "client_encoding": "UTF8",  # from a database of encoding SQL_ASCII texts would come as bytes otherwise
        "connect_timeout": _whole(query.pop("timeout", None) or settings.connection_timeout),
        **_KEEPALIVES,
        **_tls(connect.tls),
    }
    if "ssl" in query:
        mode = query.pop("ssl")
        arguments["sslmode"] = _SSL_MODES.get(mode.lower(), mode)
    sizes = [query.pop(name, None) for name in _PREPARED]
    sizes += [connect.prepared_statement_cache_size, connect.statement_cache_size]
    session = {"statement_timeout": _milliseconds(query.pop("command_timeout", None) or settings.timeout), "search_path": connect.search_path}
    options = " ".join(f"-c {name}={_escaped(str(value))}" for name, value in session.items() if value)
    arguments["options"] = " ".join(part for part in (options, query.pop("options", None)) if part) or None
    arguments.update(query)
    arguments.update(given)
    host, name = arguments["host"] or "localhost", arguments["dbname"] or arguments["user"] or ""
    return PostgresOptions(
        arguments={name: value for name, value in arguments.items() if value is not None},
        place=f"{name!r} at {host}:{arguments['port'] or 5432}",
        pool_size=settings.sqlalchemy.pool_size,
        max_overflow=settings.sqlalchemy.max_overflow,
        pool_timeout=settings.sqlalchemy.pool_timeout,
        pool_recycle=settings.sqlalchemy.pool_recycle,
        prepares=not any(str(size) == "0" for size in sizes if size is not None),
        migrates=settings.migrate_on_start,
        migration_timeout=settings.migration_timeout,
    )


def _tls(tls: Any) -> dict[str, Any]:
    if not tls.enabled:
        return {}
    return {
        "sslmode": ("verify-full" if tls.check_hostname else "verify-ca") if tls.ca_file else "require",
        "sslrootcert": tls.ca_file,
        "sslcert": tls.cert_file,
        "sslkey": tls.key_file,
    }


def _whole(seconds: Any) -> int | None:
    """Return whole seconds, which is what the driver counts in: at least 2, since it takes less for no limit."""
    return None if seconds is None else max(2, round(float(seconds)))


def _milliseconds(seconds: Any) -> int | None:
    return None if seconds is None else max(1, round(float(seconds) * 1000))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
