"""`SnowflakeConnector`, a database in Snowflake, and tasks that query it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field

from headrace import task
from headrace.blocks.databases import CursorDatabase
from headrace.utilities.asyncutils import blocking, offload
from headrace_snowflake import queries as running
from headrace_snowflake.credentials import SnowflakeCredentials, is_connector_5

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

Parameters = dict[str, Any] | Sequence[Any] | None


class SnowflakeConnector(CursorDatabase):
    """Block used to manage connections with Snowflake.

    The connection is made at first use and kept until `close`; in a `with` block it is closed at the end, together with the cursors.
    Fetching again with the same operation and parameters goes on where the last fetch stopped, until `reset_cursors`. Load and use the
    block within one flow or task: what is passed on to another process has no connection.

    Statements are submitted and asked after, at most `poll_frequency_s` seconds apart. When a run is stopped, its query is too.

    Example:
        ```python
        from headrace_snowflake import SnowflakeConnector

        with SnowflakeConnector.load("my-database") as connector:
            connector.execute("CREATE TABLE IF NOT EXISTS customers (name varchar, address varchar);")
            connector.execute_many(
                "INSERT INTO customers (name, address) VALUES (%(name)s, %(address)s);",
                seq_of_parameters=[{"name": "Ford", "address": "Highway 42"}, {"name": "Me", "address": "Myway 88"}],
            )
            rows = connector.fetch_all("SELECT * FROM customers WHERE address = %(address)s", parameters={"address": "Highway 42"})
        ```
    """

    model_config = ConfigDict(populate_by_name=True)

    _block_type_name: ClassVar[str | None] = "Snowflake Connector"
    _commits: ClassVar[bool] = False  # Snowflake commits each statement, or the user wants to
    _is_parallel: ClassVar[bool] = True

    credentials: SnowflakeCredentials = Field(description="The credentials to authenticate with Snowflake.")
    database: str = Field(description="The name of the default database to use.")
    warehouse: str = Field(description="The name of the default warehouse to use.")
    schema_: str = Field(alias="schema", description="The name of the default schema to use; in code it is `schema_`.")
    poll_frequency_s: int = Field(default=1, ge=0, description="The number of seconds between two looks at a query that takes long.")

    # --- the connection

    def get_connection(self, **connect_kwargs: Any) -> SnowflakeConnection:
        """Return the block's connection, made if need be. After it was closed, by `with connector.get_connection()` too, the next use makes another.

        With `connect_kwargs`, further arguments for `snowflake.connector.connect`, return a new connection that the block does not
        keep: the caller closes it.
        """
        return self.open_connection(**connect_kwargs) if connect_kwargs else super().get_connection()

    def open_connection(self, **connect_kwargs: Any) -> SnowflakeConnection:
        """Return a new connection, for the caller to close."""
        place = {"database": self.database, "warehouse": self.warehouse, "schema": self.schema_}
        return self.credentials.get_client(**{**place, **connect_kwargs})

    def is_usable(self, connection: SnowflakeConnection) -> bool:
        """Say whether a connection can still be used."""
        return not connection.is_closed() and not connection.expired

    def open_cursor(self, connection: SnowflakeConnection, options: dict[str, Any]) -> SnowflakeCursor:
        """Make a cursor of the type that was asked for."""
        return _cursor(connection, options.pop("cursor_type", None))

    def run_on(self, cursor: SnowflakeCursor, operation: str, parameters: Any, options: Mapping[str, Any]) -> None:
        """Submit a statement and wait for its end."""
        running.run(cursor, operation, parameters, options, self.poll_frequency_s)

    def run_many_on(self, cursor: SnowflakeCursor, operation: str, seq_of_parameters: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Run a statement once for each set of parameters; the connector makes one of many INSERTs."""
        given = {**running.UNSUBMITTED, **options}
        if is_connector_5():
            del given["timeout"]  # which has no limit of its own there
        cursor.executemany(operation, seq_of_parameters, **given)

    # --- fetching and executing

    async def afetch_one(
        self, operation: str, parameters: Parameters = None, cursor_type: type[SnowflakeCursor] | None = None, **execute_kwargs: Any
    ) -> Any:
        """Return the next row of a statement's result, a tuple; None past its end.

        `cursor_type` is the class of the cursor, as `snowflake.connector.DictCursor` for rows that are dicts. `execute_kwargs` go to
        `cursor.execute_async`; `timeout` among them is a limit in seconds.
        """
        return await running.stoppable(super().afetch_one(operation, parameters, **_options(cursor_type, execute_kwargs)))

    async def afetch_many(
        self,
        operation: str,
        parameters: Parameters = None,
        size: int | None = None,
        cursor_type: type[SnowflakeCursor] | None = None,
        **execute_kwargs: Any,
    ) -> list[Any]:
        """Return the next `size` rows (default: `fetch_size`) of a statement's result; fewer at its end, none past it."""
        return await running.stoppable(super().afetch_many(operation, parameters, size, **_options(cursor_type, execute_kwargs)))

    async def afetch_all(
        self, operation: str, parameters: Parameters = None, cursor_type: type[SnowflakeCursor] | None = None, **execute_kwargs: Any
    ) -> list[Any]:
        """Return the rows of a statement's result that were not fetched yet."""
        return await running.stoppable(super().afetch_all(operation, parameters, **_options(cursor_type, execute_kwargs)))

    async def aexecute(
        self, operation: str, parameters: Parameters = None, cursor_type: type[SnowflakeCursor] | None = None, **execute_kwargs: Any
    ) -> None:
        """Run a statement that returns nothing, as INSERT; each call runs it."""
        await running.stoppable(super().aexecute(operation, parameters, **_options(cursor_type, execute_kwargs)))

    if TYPE_CHECKING:

        def fetch_one(
            self, operation: str, parameters: Parameters = None, cursor_type: type[SnowflakeCursor] | None = None, **execute_kwargs: Any
        ) -> Any: ...
        def fetch_many(
            self,
            operation: str,
            parameters: Parameters = None,
            size: int | None = None,
            cursor_type: type[SnowflakeCursor] | None = None,
            **execute_kwargs: Any,
        ) -> list[Any]: ...
        def fetch_all(
            self, operation: str, parameters: Parameters = None, cursor_type: type[SnowflakeCursor] | None = None, **execute_kwargs: Any
        ) -> list[Any]: ...
        def execute(
            self, operation: str, parameters: Parameters = None, cursor_type: type[SnowflakeCursor] | None = None, **execute_kwargs: Any
        ) -> None: ...
    else:
        fetch_one = blocking(afetch_one)
        fetch_many = blocking(afetch_many)
        fetch_all = blocking(afetch_all)
        execute = blocking(aexecute)

    # the names that the documentation has for what is awaited
    fetch_one_async = afetch_one
    fetch_many_async = afetch_many
    fetch_all_async = afetch_all
    execute_async = aexecute
    execute_many_async = CursorDatabase.aexecute_many


# --- tasks


@task
def snowflake_query(
    query: str,
    snowflake_connector: SnowflakeConnector,
    params: tuple[Any, ...] | dict[str, Any] | None = None,
    cursor_type: type[SnowflakeCursor] | None = None,
    poll_frequency_seconds: int = 1,
) -> list[Any]:
    """Run a query against a Snowflake database, over a connection of its own, and return all rows.

    `params` replace the placeholders in the query (`%(name)s` for a dict, `%s` for a tuple). `cursor_type` is the class of the cursor,
    by default `snowflake.connector.cursor.SnowflakeCursor`, whose rows are tuples. The query is submitted, and asked after at most
    `poll_frequency_seconds` seconds apart.

    Example:
        ```python
        from headrace import flow
        from headrace_snowflake import SnowflakeConnector, snowflake_query

        @flow
        def customer(id: int) -> list:
            connector = SnowflakeConnector.load("my-database")
            return snowflake_query("SELECT * FROM customers WHERE id = %(id)s LIMIT 8;", connector, params={"id": id})
        ```
    """
    return _answers([query], snowflake_connector, params, cursor_type, poll_frequency_seconds)[0]


@task
async def snowflake_query_async(
    query: str,
    snowflake_connector: SnowflakeConnector,
    params: tuple[Any, ...] | dict[str, Any] | None = None,
    cursor_type: type[SnowflakeCursor] | None = None,
    poll_frequency_seconds: int = 1,
) -> list[Any]:
    """Do what `snowflake_query` does, awaited."""
    return (await running.stoppable(offload(_answers, [query], snowflake_connector, params, cursor_type, poll_frequency_seconds)))[0]


@task
def snowflake_multiquery(
    queries: list[str],
    snowflake_connector: SnowflakeConnector,
    params: tuple[Any, ...] | dict[str, Any] | None = None,
    cursor_type: type[SnowflakeCursor] | None = None,
    as_transaction: bool = False,
    return_transaction_control_results: bool = False,
    poll_frequency_seconds: int = 1,
) -> list[list[Any]]:
    """Run queries one after the other in one session against a Snowflake database, and return the rows of each.

    `params` are those of each query. With `as_transaction` either all of them take effect or none: BEGIN runs before and COMMIT after
    them, ROLLBACK when one fails. What these return is left out unless `return_transaction_control_results` is set. The other arguments
    are those of `snowflake_query`.
    """
    return _answers(queries, snowflake_connector, params, cursor_type, poll_frequency_seconds, as_transaction, return_transaction_control_results)


@task
async def snowflake_multiquery_async(
    queries: list[str],
    snowflake_connector: SnowflakeConnector,
    params: tuple[Any, ...] | dict[str, Any] | None = None,
    cursor_type: type[SnowflakeCursor] | None = None,
    as_transaction: bool = False,
    return_transaction_control_results: bool = False,
    poll_frequency_seconds: int = 1,
) -> list[list[Any]]:
    """Do what `snowflake_multiquery` does, awaited."""
    arguments = (queries, snowflake_connector, params, cursor_type, poll_frequency_seconds, as_transaction, return_transaction_control_results)
    return await running.stoppable(offload(_answers, *arguments))


@task
def snowflake_query_sync(
    query: str,
    snowflake_connector: SnowflakeConnector,
    params: tuple[Any, ...] | dict[str, Any] | None = None,
    cursor_type: type[SnowflakeCursor] | None = None,
) -> list[Any]:
    """Run a statement over one request that waits for its end, as `PUT file://a_file.csv @mystage`, and return all rows."""
    with snowflake_connector.open_connection() as connection, _cursor(connection, cursor_type) as cursor:
        running.wait_for(cursor, query, params, {})
        return list(cursor.fetchall())


def _answers(
    queries: Sequence[str],
    connector: SnowflakeConnector,
    params: Any,
    cursor_type: type[SnowflakeCursor] | None,
    poll_seconds: float,
    as_transaction: bool = False,
    return_control_results: bool = False,
) -> list[list[Any]]:
    """Run queries in a session of their own. The connection ends an open transaction as it closes, well or not."""
    with connector.open_connection() as connection:

        def answer(query: str) -> list[Any]:
            with _cursor(connection, cursor_type) as cursor:
                running.run(cursor, query, params, {}, poll_seconds)
                return list(cursor.fetchall())

        if not as_transaction:
            return [answer(query) for query in queries]
        begun = _control(connection, cursor_type, "BEGIN")
        try:
            answers = [answer(query) for query in queries]
        except BaseException:
            _roll_back(connection, cursor_type)
            raise
        committed = _control(connection, cursor_type, "COMMIT")
        return [begun, *answers, committed] if return_control_results else answers


def _roll_back(connection: SnowflakeConnection, cursor_type: type[SnowflakeCursor] | None) -> None:
    try:
        _control(connection, cursor_type, "ROLLBACK")
    except Exception as error:  # noqa: BLE001  # why it is rolled back is what the caller must see
        running.logger().warning("The transaction could not be rolled back, and ends with its session: %s: %s", type(error).__name__, error)


def _control(connection: SnowflakeConnection, cursor_type: type[SnowflakeCursor] | None, statement: str) -> list[Any]:
    with _cursor(connection, cursor_type) as cursor:
        return list(cursor.execute(statement) or ())


def _cursor(connection: SnowflakeConnection, cursor_type: type[SnowflakeCursor] | None) -> SnowflakeCursor:
    return connection.cursor(cursor_type) if cursor_type is not None else connection.cursor()


def _options(cursor_type: type[SnowflakeCursor] | None, execute_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return a call's further arguments: the same for equal calls, whether they name the ordinary cursor or not."""
    if cursor_type is None:
        return execute_kwargs
    from snowflake.connector.cursor import SnowflakeCursor

    if cursor_type is SnowflakeCursor:
        return execute_kwargs
    return {"cursor_type": cursor_type, **execute_kwargs}
