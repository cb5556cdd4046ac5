"""The connector and the tasks, through the real driver, against a server where submitted queries really run."""

from __future__ import annotations

import asyncio
import logging
import runpy
import threading
import time
from pathlib import Path

import pytest
from snowflake.connector import DictCursor
from snowflake.connector.cursor import SnowflakeCursor
from snowflake.connector.errors import OperationalError, ProgrammingError
from snowflake.connector.pandas_tools import write_pandas

from headrace import flow, task, unmapped
from headrace.testing import DatabaseContract
from headrace_snowflake import (
    SnowflakeConnector,
    queries,
    snowflake_multiquery,
    snowflake_multiquery_async,
    snowflake_query,
    snowflake_query_async,
    snowflake_query_sync,
)

CUSTOMERS = [{"name": "Ford", "address": "Highway 42"}, {"name": "Unknown", "address": "Space"}, {"name": "Me", "address": "Myway 88"}]
ALL = "SELECT * FROM customers"


class TestConnector(DatabaseContract):
    insert = "INSERT INTO things (id, name) VALUES (%(id)s, %(name)s)"
    select_above = "SELECT id, name FROM things WHERE id > %(least)s ORDER BY id"

    @pytest.fixture
    def database(self, connector):
        return connector


@pytest.fixture
def filled(connector):
    connector.execute("CREATE TABLE IF NOT EXISTS customers (name varchar, address varchar);")
    connector.execute_many("INSERT INTO customers (name, address) VALUES (%(name)s, %(address)s);", seq_of_parameters=CUSTOMERS)
    return connector


def until(true, text: str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, text
        threading.Event().wait(0.02)


# --- the block


def test_the_schema_goes_by_both_names(credentials):
    place = {"credentials": credentials(), "database": "d", "warehouse": "w"}
    assert SnowflakeConnector(**place, schema="s") == SnowflakeConnector(**place, schema_="s")
    made = SnowflakeConnector(**place, schema="s")
    made.save("mine")
    assert SnowflakeConnector.load("mine").schema_ == "s"
    assert made.model_dump(by_alias=True)["schema"] == "s"


def test_credentials_that_were_saved_are_referred_to(credentials):
    login = credentials()
    login.save("login")
    SnowflakeConnector(credentials=login, database="d", warehouse="w", schema="s").save("mine")
    login.user = "zaphod"
    login.save("login", overwrite=True)
    assert SnowflakeConnector.load("mine").credentials.user == "zaphod"


def test_the_cursor_type_decides_the_rows(filled):
    operation = "SELECT * FROM customers WHERE address = %(address)s"
    where = {"address": "Space"}
    assert filled.fetch_all(operation, where, DictCursor) == [{"NAME": "Unknown", "ADDRESS": "Space"}]
    assert filled.fetch_one(operation, where, SnowflakeCursor) == ("Unknown", "Space")
    assert filled.fetch_one(operation, where) is None, "the ordinary cursor is the same, named or not"
    assert filled.fetch_many(operation, where, 5, DictCursor) == []


def test_the_documented_async_names(filled):
    async def main() -> list[object]:
        await filled.execute_async("INSERT INTO customers VALUES ('Marvin', 'Highway 42')")
        await filled.execute_many_async("INSERT INTO customers VALUES (%(name)s, 'Space')", [{"name": "Zaphod"}])
        return [await filled.fetch_one_async(ALL), await filled.fetch_many_async(ALL, size=2), await filled.fetch_all_async(ALL)]

    first, two, rest = asyncio.run(main())
    assert first == ("Ford", "Highway 42")
    assert two == [("Unknown", "Space"), ("Me", "Myway 88")]
    assert rest == [("Marvin", "Highway 42"), ("Zaphod", "Space")]


def test_a_connection_that_was_closed_is_made_anew(filled, server):
    with filled.get_connection() as connection:
        assert connection is filled.get_connection()
    assert connection.is_closed()
    assert len(filled.fetch_all(ALL)) == 3
    assert filled.get_connection() is not connection


def test_a_connection_with_arguments_of_its_own_is_the_callers(connector):
    with connector.get_connection(session_parameters={"QUERY_TAG": "towel"}) as connection:
        assert connection is not connector.get_connection()
        assert not connector.get_connection().is_closed()


def test_closing_ends_the_session(connector, server):
    before = server.told()["sessions"]
    with connector:
        connector.execute("SELECT 1")
        assert server.told()["sessions"] == before + 1
    assert server.told()["sessions"] == before


def test_without_autocommit_the_user_commits(credentials, server, connector):
    connector.execute("CREATE TABLE t (n int)")
    careful = connector.model_copy(update={"credentials": credentials(password="paranoid-android", autocommit=False)})
    with careful:
        careful.execute("INSERT INTO t VALUES (1)")
        assert connector.fetch_all("SELECT * FROM t") == []
        careful.get_connection().commit()
    connector.reset_cursors()
    assert connector.fetch_all("SELECT * FROM t") == [(1,)]


def test_statements_of_several_kinds(connector, tmp_path):
    (tmp_path / "rows.csv").write_text("1,one\n2,two\n")
    connector.execute("-- where files go\nCREATE STAGE files")
    connector.execute("CREATE TABLE numbers (n int, name varchar)")
    assert connector.fetch_all(f"put file://{tmp_path}/rows.csv @files")[0][6] == "UPLOADED"
    connector.execute("BEGIN")
    connector.execute("INSERT INTO numbers VALUES (1, 'one')")
    connector.execute("rollback;")
    assert connector.fetch_one("SELECT count(*) FROM numbers") == (0,)
    assert "NUMBERS" in [row[1] for row in connector.fetch_all("SHOW TABLES")]
    with pytest.raises(ValueError, match="the operation is empty"):
        connector.execute("  ")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", True),
        ("(select 1)", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
        ("INSERT INTO t SELECT 'put'", True),
        ("alter table t add column n int", True),
        ("Alter  Session set timezone = 'UTC'", False),
        ("/* to the stage */ PUT file://x @y", False),
        ("-- first\n-- second\n  get @y file://x", False),
        ("use schema s", False),
        ("BEGIN", False),
        ("-- all or nothing\nBegin Transaction NAME nightly ;", False),
        ("BEGIN\n  INSERT INTO t VALUES (1);\nEND;", True),
        ("DECLARE n int; BEGIN RETURN 1; END;", True),
        ("start transaction", False),
    ],
)
def test_what_moves_files_or_changes_the_session_is_not_submitted(statement, expected):
    assert queries.may_be_submitted(statement) is expected


# --- queries that take their time


def test_a_long_query_is_waited_for_and_reported(connector, caplog, monkeypatch):
    monkeypatch.setattr(queries, "FIRST_REPORT_SECONDS", 0.1)
    caplog.set_level(logging.INFO)
    assert connector.fetch_all("CALL SYSTEM$WAIT(0.6)") == [("waited 0.6 seconds",)]
    reports = [record.getMessage() for record in caplog.records if "has not ended after" in record.getMessage()]
    assert 1 <= len(reports) <= 3
    assert "(RUNNING)" in reports[0]


def test_short_queries_are_asked_after_soon_and_long_ones_seldom(connector, server):
    slow = connector.model_copy(update={"poll_frequency_s": 60})
    began = time.monotonic()
    assert slow.fetch_all("CALL SYSTEM$WAIT(0.3)") == [("waited 0.3 seconds",)]
    assert time.monotonic() - began < 30
    slow.close()


def test_statements_that_are_not_submitted_may_take_longer_than_the_network(credentials, connector):
    hasty = connector.model_copy(update={"credentials": credentials(password="paranoid-android", network_timeout_seconds=1)})
    hasty.execute("CREATE TABLE t (n int)")
    assert snowflake_query_sync.fn("CALL SYSTEM$WAIT(2)", hasty) == [("waited 2 seconds",)]
    hasty.execute_many("INSERT INTO t VALUES (%(n)s)", [{"n": 1}, {"n": 2}])
    assert hasty.fetch_all("SELECT sum(n) FROM t") == [(3,)]
    hasty.close()


def test_a_failing_query_tells_what_the_server_said(connector, caplog):
    with pytest.raises(ProgrammingError, match="Table with name NOWHERE does not exist") as caught:
        connector.fetch_all("SELECT * FROM nowhere")
    assert caught.value.errno == 2003
    assert "may still run" not in caplog.text
    assert "was stopped" not in caplog.text


def test_a_query_past_its_timeout_is_stopped(connector, server):
    with pytest.raises(TimeoutError, match="ran longer than its timeout of 0.2 s"):
        connector.execute("CALL SYSTEM$WAIT(301)", timeout=0.2)
    until(lambda: server.status_of("CALL SYSTEM$WAIT(301)") == "ABORTED", "the query runs on")


def test_a_query_that_is_stopped_elsewhere_is_told(connector, server):
    connection = connector.get_connection()

    def stop() -> None:
        until(lambda: server.status_of("CALL SYSTEM$WAIT(302)") == "RUNNING", "it does not run")
        connection.cursor().abort_query(server.told()["ids"]["CALL SYSTEM$WAIT(302)"])

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(ProgrammingError, match="SQL execution canceled"):
        connector.execute("CALL SYSTEM$WAIT(302)")
    thread.join()


def test_a_query_that_the_server_forgets_is_given_up(connector, monkeypatch):
    monkeypatch.setattr(queries, "UNKNOWN_SECONDS_MAX", 0.2)
    with pytest.raises(RuntimeError, match="for 0 s says nothing about it. Look for it in the query history"):
        connector.fetch_all("SELECT 'unheard of'")


def test_a_run_that_takes_too_long_stops_its_query(connector, server):
    @task(timeout_seconds=0.5)
    def slow() -> None:
        connector.execute("CALL SYSTEM$WAIT(303)")

    @flow
    def hurry() -> str:
        return slow(return_state=True).name

    assert hurry() == "TimedOut"
    until(lambda: server.status_of("CALL SYSTEM$WAIT(303)") == "ABORTED", "the query runs on")


@pytest.mark.parametrize("how", ["block", "task"])
def test_cancelling_an_async_run_stops_its_query(connector, server, how):
    statement = f"CALL SYSTEM$WAIT({304 if how == 'block' else 305})"

    async def main() -> None:
        running = connector.aexecute(statement) if how == "block" else snowflake_query_async.fn(statement, connector)
        waiting = asyncio.create_task(running)
        await asyncio.to_thread(until, lambda: server.status_of(statement) == "RUNNING", "it does not run")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    until(lambda: server.status_of(statement) == "ABORTED", "the query runs on")


# --- tasks


def test_a_query(filled):
    @flow
    def ask() -> object:
        return snowflake_query("SELECT name FROM customers WHERE address = %(address)s", filled, params={"address": "Space"})

    assert ask() == [("Unknown",)]
    assert snowflake_query.fn("SELECT name FROM customers WHERE address = %s", filled, ("Space",), DictCursor) == [{"NAME": "Unknown"}]


def test_an_awaited_query(filled):
    @flow
    async def ask() -> object:
        one, other = await asyncio.gather(snowflake_query_async("SELECT 1", filled), snowflake_query_async(ALL, filled, poll_frequency_seconds=5))
        return one, len(other)

    assert asyncio.run(ask()) == ([(1,)], 3)


def test_a_query_has_a_session_of_its_own_and_leaves_none(filled, server):
    connection = filled.get_connection()
    before = server.told()["sessions"]
    assert snowflake_query.fn("SELECT 1", filled) == [(1,)]
    assert server.told()["sessions"] == before
    assert not connection.is_closed()


def test_several_queries_share_a_session(filled):
    answers = snowflake_multiquery.fn(["SET n = 42", "SELECT $n", "SELECT 1, 2"], filled, params={"not": "used"})
    assert answers[1:] == [[(42,)], [(1, 2)]]


@pytest.mark.parametrize("awaited", [False, True])
def test_a_transaction_takes_effect_as_a_whole(filled, server, awaited):
    def run(statements: list[str], **options: object) -> list[object]:
        if awaited:
            return asyncio.run(snowflake_multiquery_async.fn(statements, filled, as_transaction=True, **options))
        return snowflake_multiquery.fn(statements, filled, as_transaction=True, **options)

    statements = ["INSERT INTO customers VALUES ('Zaphod', 'Betelgeuse')", "SELECT count(*) FROM customers"]
    assert run(statements)[1] == [(4,)]
    assert len(statements) == 2, "the caller's list stays as it is"
    control = run(statements, return_transaction_control_results=True)
    assert len(control) == 4
    assert control[0] == control[-1] == [("Statement executed successfully.",)]
    with pytest.raises(ProgrammingError, match="NOWHERE"):
        run(["DELETE FROM customers", "SELECT * FROM nowhere"])
    assert server.told()["statements"][-1] == "ROLLBACK"
    assert filled.fetch_one("SELECT count(*) FROM customers") == (5,)


def test_a_transaction_that_cannot_be_rolled_back_tells_why_it_was_to_be(filled, caplog):
    class Broken(SnowflakeCursor):
        def execute(self, command, *args, **kwargs):
            if command == "ROLLBACK":
                raise OperationalError("the connection broke")
            return super().execute(command, *args, **kwargs)

    with pytest.raises(ProgrammingError, match="NOWHERE"):
        snowflake_multiquery.fn(["DELETE FROM customers", "SELECT * FROM nowhere"], filled, cursor_type=Broken, as_transaction=True)
    assert "could not be rolled back, and ends with its session: OperationalError" in caplog.text
    assert filled.fetch_one("SELECT count(*) FROM customers") == (3,)


def test_a_transaction_that_is_retried_begins_once_each_time(filled, server):
    statements = ["SELECT * FROM nowhere_at_all"]
    before = server.told()["statements"].count("BEGIN")

    @flow
    def stubborn() -> str:
        return snowflake_multiquery.with_options(retries=1)(statements, filled, as_transaction=True, return_state=True).type.value

    assert stubborn() == "FAILED"
    assert server.told()["statements"].count("BEGIN") == before + 2
    assert statements == ["SELECT * FROM nowhere_at_all"]


def test_a_put_statement(connector, tmp_path):
    (tmp_path / "a_file.csv").write_text("1\n")
    connector.execute("CREATE STAGE mystage")

    @flow
    def put() -> list[tuple[object, ...]]:
        return snowflake_query_sync(f"put file://{tmp_path}/a_file.csv @mystage;", connector)

    assert put()[0][0] == "a_file.csv"


def test_a_failing_query_fails_the_run_with_its_message(connector):
    @flow
    def ask() -> object:
        return snowflake_query("SELECT * FROM nowhere", connector)

    state = ask(return_state=True)
    assert state.is_failed()
    assert "Table with name NOWHERE does not exist" in state.message


def test_queries_run_at_once_from_mapped_tasks(filled):
    @flow
    def fan_out() -> list[object]:
        return [future.result() for future in snowflake_query.map(["SELECT 1", "SELECT 2", "SELECT 3"], unmapped(filled))]

    assert fan_out() == [[(1,)], [(2,)], [(3,)]]


# --- documented examples


def test_a_data_frame_is_written(connector):
    import pandas

    with connector.get_connection() as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS TABLE_NAME (NAME STRING, NUMBER INT)")
        frame = pandas.DataFrame([("Marvin", 42), ("Ford", 88)], columns=["NAME", "NUMBER"])
        success, _, rows, _ = write_pandas(connection, frame, "TABLE_NAME", database=connector.database.upper(), schema=connector.schema_.upper())
    assert success
    assert rows == 2
    assert connector.fetch_all("SELECT * FROM table_name ORDER BY number") == [("Marvin", 42), ("Ford", 88)]


def test_the_example_of_the_readme_runs(connector):
    connector.save("my-database")
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    code = readme.partition("## In a flow\n\n```python\n")[2].partition("```")[0]
    Path("example.py").write_text(code)
    assert runpy.run_path("example.py")["customers"]() == [[("Ford", "Highway 42"), ("Unknown", "Space")], [("Me", "Myway 88")]]
