"""`headrace block`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.blocks.core import Block
from headrace.blocks.system import Secret
from headrace.cli.block import group


def run(*arguments: str, input: str | None = None) -> Result:
    """Run one command, with nobody at the terminal."""
    return CliRunner().invoke(group, list(arguments), input=input)


def data(*arguments: str) -> Any:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_saved_blocks_are_listed_without_their_secrets() -> None:
    Secret(value="hush").save("token")
    listed = run("ls")
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["BLOCK", "secret/token"]
    [found] = data("ls")
    assert found["data"] == {"value": "********"}
    assert run("ls", "-o", "name").stdout == "token\n"


def test_inspect_finds_by_slug_and_by_id() -> None:
    id = Secret(value="hush").save("token")
    assert data("inspect", "secret/token")["id"] == str(id)
    assert data("inspect", "--id", str(id))["name"] == "token"
    shown = run("inspect", "secret/token")
    assert "data.value" in shown.stdout
    assert "hush" not in shown.stdout


@pytest.mark.parametrize(
    "arguments", [("inspect",), ("delete", "--yes"), ("inspect", "secret"), ("inspect", "secret/a", "--id", "0" * 32), ("register",)]
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_an_unknown_block_exits_4_and_names_near_ones() -> None:
    Secret(value="hush").save("token")
    for command in (("inspect", "secret/tokn"), ("delete", "secret/tokn", "--yes")):
        result = run(*command)
        assert result.exit_code == 4
        assert result.stdout == ""
        assert "There is no block 'secret/tokn'" in result.stderr
        assert "Did you mean 'secret/token'?" in result.stderr
    assert run("inspect", "--id", "00000000-0000-0000-0000-000000000000").exit_code == 4


def test_delete_needs_yes_when_nobody_can_be_asked() -> None:
    Secret(value="hush").save("token")
    refused = run("delete", "secret/token")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert Secret.load("token").get() == "hush"
    assert run("delete", "secret/token", "--yes").exit_code == 0
    assert run("delete", "secret/token", "--yes").exit_code == 4


def test_create_saves_a_block_from_values_and_from_stdin() -> None:
    assert data("create", "webhook/hook", "--value", "url=http://x/12", "--value", "verify=false", "--value", 'headers={"a": "b"}')["name"] == "hook"
    found: Any = Block.load("webhook/hook")
    assert (found.url.get_secret_value(), found.verify, found.headers.get_secret_value()) == ("http://x/12", False, {"a": "b"})
    assert run("create", "secret/s", "--values", "-", input='{"value": "12"}').exit_code == 0
    assert Secret.load("s").get() == "12"
    again = run("create", "secret/s", "--value", "value=x")
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert run("create", "secret/s", "--value", "value=x", "--overwrite").exit_code == 0
    assert Secret.load("s").get() == "x"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("secrt/x", "--value", "value=1"), 4, "Did you mean 'secret'"),
        (("secret/x", "--value", "vlue=1"), 2, "has no field 'vlue'. Did you mean 'value'?"),
        (("secret/x", "--value", "value"), 2, "not of the form KEY=VALUE"),
        (("secret", "--value", "value=1"), 2, "Say the name too"),
        (("secret/x",), 1, "Error: value: Field required\n"),
        (("secret/Bad Name", "--value", "value=1"), 1, "lowercase letters"),
        (("secrt",), 4, "Did you mean 'secret'"),
    ],
)
def test_create_says_what_is_wrong(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run("create", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_create_without_a_name_tells_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "headrace block create secret/NAME" in run("create", "secret").stdout
    monkeypatch.setenv("HEADRACE_UI_URL", "http://ui.example.com")
    from headrace.settings.in_force import process

    process.context = None
    assert run("create", "secret").stdout == "Create a secret block: http://ui.example.com/blocks/catalog/secret/create\n"


def test_register_stores_the_types_of_a_file_and_a_module(tmp_path: Path) -> None:
    (tmp_path / "my_blocks.py").write_text(
        "from __future__ import annotations\n"
        "from pydantic import SecretStr\n"
        "from headrace.blocks.core import Block\n"
        "class Cube(Block):\n    edge: float\n    token: SecretStr\n"
        "class Ball(Block):\n    cube: Cube\n"
    )
    assert [one["slug"] for one in data("register", "--file", "my_blocks.py")] == ["ball", "cube"]
    assert {one["slug"] for one in data("type", "ls") if one["registered"]} == {"ball", "cube"}
    assert [one["slug"] for one in data("register", "-m", "headrace.blocks.system")] == ["secret"]
    (tmp_path / "other_blocks.py").write_text("from headrace.blocks.core import Block\nclass Ring(Block):\n    x: int = 1\n")
    assert [one["slug"] for one in data("register", "-m", "other_blocks")] == ["ring"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "no_such_module"), "Unable to load no_such_module"),
        (("-f", "missing.py"), "There is no file missing.py"),
        (("-f", "blocks.txt"), "not a .py file"),
        (("-m", "json"), "There are no block types in json"),
        (("-f", "broken.py"), "encountered an exception: ZeroDivisionError"),
    ],
)
def test_register_says_what_is_wrong(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    result = run("register", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("noun", ["type", "types"])
def test_types_are_listed_inspected_and_deleted(noun: str) -> None:
    class Cube(Block):
        """A cube."""

        edge: float = 1

    Cube().save("one")
    rows = {one["slug"]: one for one in data(noun, "ls")}
    assert rows["cube"] == {"slug": "cube", "name": "Cube", "description": "A cube.", "registered": True}
    assert rows["secret"]["registered"] is False
    assert data(noun, "inspect", "cube")["description"] == "A cube."
    missing = run(noun, "inspect", "cub")
    assert missing.exit_code == 4
    assert "Did you mean 'cube'" in missing.stderr
    refused = run(noun, "delete", "cube")
    assert refused.exit_code == 2
    assert "its 1 saved blocks" in refused.stderr
    assert run(noun, "delete", "cube", "--yes").exit_code == 0
    assert run(noun, "delete", "cube", "--yes").exit_code == 4


def test_a_protected_type_is_not_deleted() -> None:
    Secret(value="x").save("s")
    result = run("type", "delete", "secret", "--yes")
    assert result.exit_code == 3
    assert Secret.load("s").get() == "x"


def test_every_command_has_help() -> None:
    for command in ((), *((name,) for name in group.commands), ("type", "ls"), ("type", "inspect"), ("type", "delete")):
        assert run(*command, "--help").exit_code == 0
