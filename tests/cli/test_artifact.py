"""`headrace artifact`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from headrace.artifacts import Artifact, create_markdown_artifact
from headrace.cli.main import main
from headrace.client import current_run


@pytest.fixture(autouse=True)
def run() -> Iterator[None]:
    token = current_run.set_run_ids(uuid4(), None)
    yield
    current_run.reset(token)


def test_ls_shows_the_latest_of_each_key_or_every_version(capsys: pytest.CaptureFixture[str]) -> None:
    create_markdown_artifact("1", key="a")
    latest = create_markdown_artifact("2", key="a")
    create_markdown_artifact("3", key="b")
    main(["artifact", "ls", "-o", "json"])
    assert [(one["key"], one["data"]) for one in json.loads(capsys.readouterr().out)] == [("b", "3"), ("a", "2")]
    main(["artifact", "ls", "--all", "-o", "json"])
    assert [one["data"] for one in json.loads(capsys.readouterr().out)] == ["3", "2", "1"]
    main(["artifact", "ls"])
    assert str(latest) in capsys.readouterr().out


def test_inspect_shows_the_newest_versions(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        create_markdown_artifact(str(number), key="a")
    main(["artifact", "inspect", "a", "--limit", "2", "-o", "json"])
    assert [one["data"] for one in json.loads(capsys.readouterr().out)] == ["2", "1"]
    assert main(["artifact", "inspect", "nope"]) == 4


def test_delete_takes_a_key_with_all_versions_or_one_id() -> None:
    first = create_markdown_artifact("1", key="a")
    create_markdown_artifact("2", key="a")
    create_markdown_artifact("3", key="a")
    assert main(["artifact", "delete", "--id", str(first)]) == 2
    assert main(["artifact", "delete", "--id", str(first), "--yes"]) == 0
    assert main(["artifact", "delete", "--id", str(first), "--yes"]) == 4
    assert main(["artifact", "delete", "a"]) == 2
    assert Artifact.get("a") is not None
    assert main(["artifact", "delete", "a", "-y"]) == 0
    assert Artifact.get("a") is None
    assert main(["artifact", "delete", "a", "-y"]) == 4


def test_delete_takes_either_a_key_or_an_id() -> None:
    assert main(["artifact", "delete"]) == 2
    assert main(["artifact", "delete", "a", "--id", str(uuid4())]) == 2
    assert main(["artifact", "delete", "--id", "no-uuid"]) == 2
