"""`headrace server database`, on both kinds of database."""

from __future__ import annotations

import pytest

from headrace.cli.server_database import group
from headrace.server.database import database_in_force
from headrace.store.schema import HEAD
from headrace.testing.cli import CliResult, invoke


def run(*words: str, typed: str | None = None) -> CliResult:
    return invoke(["server", "database", *words], typed)


def flows() -> list[str]:
    with (made := database_in_force()).read() as tx:
        found = [name for (name,) in tx.sql("SELECT name FROM flow")]
    made.close()
    return found


def add_flow() -> None:
    made = database_in_force()
    with made.write() as tx:
        tx.sql("INSERT INTO flow (id, created, updated, name) VALUES (?, 1, 1, 'kept')", (b"1" * 16,))
    made.close()


def test_schema_goes_down_and_up_again(database: str) -> None:
    add_flow()
    assert f"The schema is at {HEAD}, the newest there is." in run("upgrade", "-y").output
    assert "The schema is at base." in run("downgrade", "-y", "-r", "base").output
    assert f"The schema is at {HEAD}." in run("upgrade", "--yes").output
    assert flows() == []


def test_a_dry_run_prints_sql_and_changes_nothing(database: str) -> None:
    add_flow()
    shown = run("downgrade", "--dry-run", "-r", "base")
    assert shown.exit_code == 0
    assert "DROP TABLE flow" in shown.output
    assert "CREATE TABLE" not in shown.output
    assert flows() == ["kept"]


def test_nothing_is_changed_without_a_yes(database: str) -> None:
    add_flow()
    for words in (("reset",), ("downgrade",)):
        refused = run(*words)
        assert refused.exit_code == 2
        assert "nobody can be asked" in refused.output
    assert flows() == ["kept"]


def test_reset_leaves_an_empty_database_of_the_newest_version(database: str) -> None:
    add_flow()
    assert HEAD in run("reset", "-y").output
    assert flows() == []


def test_stamp_changes_the_version_alone(database: str) -> None:
    add_flow()
    assert "said to be at base" in run("stamp", "base").output
    assert f"said to be at {HEAD}" in run("stamp", "head").output
    assert flows() == ["kept"]


def test_unknown_revision_is_told(database: str) -> None:
    add_flow()
    told = run("upgrade", "-y", "-r", "7777")
    assert told.exit_code == 1
    assert "'7777'" in told.output
    assert HEAD in told.output


def test_a_newer_schema_is_left_alone_until_it_is_stamped(database: str) -> None:
    add_flow()
    made = database_in_force()
    with made.write() as tx:
        tx.sql("UPDATE alembic_version SET version_num = '9999'")
    made.close()
    told = run("upgrade", "-y")
    assert told.exit_code == 1
    assert "by a newer headrace: its schema is '9999'" in told.output
    assert f"said to be at {HEAD}" in run("stamp", "head").output
    assert flows() == ["kept"]


def test_a_database_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", "postgresql://bob:s3cret@127.0.0.1:1/mill")
    for words in (("upgrade", "-y"), ("reset", "-y")):
        told = run(*words)
        assert told.exit_code == 1
        assert "The database 'mill' at 127.0.0.1:1 does not answer" in told.output
        assert "s3cret" not in told.output


def test_every_command_has_help() -> None:
    assert set(group.commands) == {"upgrade", "downgrade", "stamp", "reset", "revision"}
    assert all(command.help for command in group.commands.values())
