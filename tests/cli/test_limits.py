"""`headrace concurrency-limit` and `headrace global-concurrency-limit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.main import main
from headrace.concurrency.sync import concurrency


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command and return what it prints as JSON."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        assert main([*arguments, "-o", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_a_tag_is_limited_shown_reset_and_freed(shown: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown("concurrency-limit", "create", "gpu", "2")["concurrency_limit"] == 2
    assert main(["concurrency-limit", "create", "gpu", "3"]) == 0
    assert shown("concurrency-limit", "inspect", "gpu")["concurrency_limit"] == 3
    assert [one["tag"] for one in shown("concurrency-limits", "ls")] == ["gpu"]
    assert shown("concurrency-limit", "ls", "--offset", "1") == []
    assert main(["concurrency-limit", "reset", "gpu"]) == 0
    assert main(["concurrency-limit", "delete", "gpu"]) == 2
    assert main(["concurrency-limit", "delete", "gpu", "--yes"]) == 0
    capsys.readouterr()
    for command in ("inspect", "reset", "delete"):
        assert main(["concurrency-limit", command, "gpu"]) == 4
        assert "The tag 'gpu' has no limit" in capsys.readouterr().err
    assert main(["concurrency-limit", "create", "gpu", "-1"]) == 2


def test_a_reset_frees_a_held_slot(shown: Any) -> None:
    main(["concurrency-limit", "create", "gpu", "1"])
    with concurrency("tag:gpu"):
        assert shown("gcl", "inspect", "tag:gpu")["active_slots"] == 1
        main(["concurrency-limit", "reset", "gpu"])
        assert shown("gcl", "inspect", "tag:gpu")["active_slots"] == 0


def test_a_limit_is_created_with_what_is_given(shown: Any) -> None:
    made = shown("gcl", "create", "db", "--limit", "5", "--active-slots", "3", "--slot-decay-per-second", "0.5", "--disable")
    assert (made["limit"], made["active"], made["active_slots"], made["slot_decay_per_second"]) == (5, False, 3, 0.5)
    assert [one["name"] for one in shown("global-concurrency-limits", "ls")] == ["db"]


def test_a_name_is_used_once_and_must_be_usable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gcl", "create", "db", "-l", "1"]) == 0
    assert main(["gcl", "create", "db", "-l", "1"]) == 1
    assert "'db' already exists" in capsys.readouterr().err
    assert main(["gcl", "create", "a/b", "-l", "1"]) == 1
    assert main(["gcl", "create", "db2"]) == 2


def test_update_changes_what_is_given(shown: Any) -> None:
    main(["gcl", "create", "db", "-l", "1"])
    assert shown("gcl", "update", "db", "--limit", "4", "--disable")["limit"] == 4
    assert shown("gcl", "inspect", "db")["active"] is False
    assert shown("gcl", "update", "db", "--active-slots", "2", "--enable")["active_slots"] == 2
    assert main(["gcl", "update", "db"]) == 2
    assert main(["gcl", "update", "db", "--enable", "--disable"]) == 2


def test_enable_and_disable_refuse_what_is_done_already(shown: Any) -> None:
    main(["gcl", "create", "db", "-l", "1"])
    assert main(["gcl", "enable", "db"]) == 1
    assert main(["gcl", "disable", "db"]) == 0
    assert main(["gcl", "disable", "db"]) == 1
    assert shown("gcl", "enable", "db")["active"] is True


def test_inspect_writes_a_file(tmp_path: Path) -> None:
    main(["gcl", "create", "db", "-l", "1"])
    assert main(["gcl", "inspect", "db", "--file", str(tmp_path / "limit.json")]) == 0
    assert json.loads((tmp_path / "limit.json").read_text())["name"] == "db"


def test_delete_needs_yes_and_unknown_limits_are_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    main(["gcl", "create", "database", "-l", "1"])
    assert main(["gcl", "delete", "database"]) == 2
    capsys.readouterr()
    assert main(["gcl", "inspect", "databse"]) == 4
    assert "Did you mean 'database'?" in capsys.readouterr().err
    assert main(["gcl", "delete", "database", "-y"]) == 0
    assert main(["gcl", "delete", "database", "-y"]) == 4
