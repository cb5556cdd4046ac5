"""`headrace variable`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.cli.main import main
from headrace.variables import Variable


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ('"3"', "3"), ("three", "three"), ("true", True), ('{"a": [null]}', {"a": [None]}), ("NaN", "NaN"), ("", ""), ("1.5", 1.5)],
)
def test_values_are_json_or_else_text(text: str, value: Any) -> None:
    assert main(["variable", "set", "a", text]) == 0
    assert Variable.get("a") == value
    assert type(Variable.get("a")) is type(value)


def test_get_prints_the_value_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Variable.set("text", "two\nlines")
    Variable.set("object", {"é": 1})
    main(["variable", "get", "text"])
    main(["variable", "get", "object"])
    assert capsys.readouterr().out == 'two\nlines\n{"é": 1}\n'


def test_an_existing_variable_is_replaced_only_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["variable", "set", "a", "1", "--tag", "x", "--tag", "y"]) == 0
    assert main(["variable", "set", "a", "2"]) == 1
    assert "'a' exists already" in capsys.readouterr().err
    assert main(["variable", "set", "a", "2", "--overwrite", "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["value"], shown["tags"]) == ("a", 2, [])


def test_bad_names_and_values_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["variable", "set", "Bad Name", "1"]) == 1
    assert "lowercase letters" in capsys.readouterr().err.splitlines()[0]
    assert main(["variable", "set", "a", "x" * 6000]) == 1


def test_deleting_without_a_terminal_needs_yes(capsys: pytest.CaptureFixture[str]) -> None:
    Variable.set("a", 1)
    assert main(["variable", "delete", "a"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert Variable.get("a") == 1
    assert main(["variable", "delete", "a", "--yes"]) == 0
    assert main(["variable", "unset", "a", "--yes"]) == 4


def test_an_unknown_name_lists_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    Variable.set("database_url", 1)
    for command in ("get", "inspect", "delete"):
        assert main(["variable", command, "databse_url"]) == 4
        assert "Did you mean 'database_url'?" in capsys.readouterr().err


def test_ls_lists_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b", "a", "c"):
        Variable.set(name, name)
    main(["variable", "ls", "--limit", "2", "-o", "name"])
    assert capsys.readouterr().out.split() == ["a", "b"]
    main(["variables", "ls"])
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [["a", '"a"'], ["b", '"b"'], ["c", '"c"']]
    main(["variable", "inspect", "a", "-o", "json"])
    assert json.loads(capsys.readouterr().out)["value"] == "a"
