"""The commands of automations, events and plain requests."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from headrace.client.connect import forget_client
from headrace.client.spool import close_process_spool
from headrace.settings.in_force import process
from headrace.store.database import Database
from headrace.testing.cli import CliResult, invoke
from headrace.testing.server import running_server

ONE: dict[str, Any] = {
    "name": "tell",
    "trigger": {"type": "event", "posture": "Reactive", "expect": ["a.b"], "threshold": 1, "within": 0},
    "actions": [{"type": "do-nothing"}],
}


@pytest.fixture(autouse=True)
def url(home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str, None, None]:
    with running_server(Database(f"sqlite:///{home.parent / 'server.db'}")) as address:
        monkeypatch.setenv("HEADRACE_API_URL", address)
        process.context = process.chosen_profile = None
        yield address
        close_process_spool()
        forget_client()


def ok(*command: str) -> CliResult:
    done = invoke(list(command))
    assert done.exit_code == 0, done.output
    return done


def data(*command: str) -> Any:
    return json.loads(ok(*command, "-o", "json").stdout)


def test_an_automation_lives(tmp_path: Path) -> None:
    file = tmp_path / "tell.yaml"
    file.write_text(json.dumps(ONE))
    made = data("automation", "create", "-f", str(file))
    assert [one["name"] for one in data("automation", "ls")] == ["tell"]
    ok("automation", "pause", "tell")
    assert json.loads(ok("automation", "inspect", "tell", "--json").stdout)["enabled"] is False
    ok("automation", "enable", "--id", made["id"])
    assert "enabled: true" in ok("automation", "inspect", "tell", "--yaml").stdout
    ok("automation", "update", "--id", made["id"], "-j", json.dumps({**ONE, "name": "told"}))
    done = invoke("automation inspect tolld")
    assert done.exit_code == 4
    assert "Did you mean 'told'?" in done.stderr
    assert invoke("automation delete told").exit_code == 2
    ok("automation", "delete", "told", "-y")
    assert data("automation", "ls") == []


def test_those_that_fail_are_told_of_and_the_others_created() -> None:
    done = invoke(["automation", "create", "-j", json.dumps([ONE, {"name": "bad"}, 3])])
    assert done.exit_code == 1
    assert "Automation 1 (bad) was not created: trigger: Field required" in done.stderr
    assert "Automation 2 (without a name)" in done.stderr
    assert [one["name"] for one in data("automation", "ls")] == ["tell"]


def test_a_name_that_two_have_needs_the_id() -> None:
    ok("automation", "create", "-j", json.dumps({"automations": [ONE, ONE]}))
    done = invoke("automation pause tell")
    assert (done.exit_code, "2 automations are named 'tell'" in done.stderr) == (1, True)
    ok("automation", "delete", "--all", "-y")


@pytest.mark.parametrize(
    "command", ["automation create", "automation create -j {", "automation pause", "event emit a.b", "event emit a.b --resource-id x -p 3"]
)
def test_wrong_usage_says_so(command: str) -> None:
    done = invoke(command)
    assert done.exit_code in (1, 2)
    assert "Traceback" not in done.stderr


def test_an_event_is_emitted_and_seen(tmp_path: Path) -> None:
    made = data("event", "emit", "order.shipped", "--resource-id", "order-1", "-r", "prefect.resource.name=One", "-p", '{"by": "air"}')
    assert made["payload"] == {"by": "air"}
    file = tmp_path / "events.txt"
    kept = json.loads(ok("api", "POST", "/events/filter").stdout)["events"]
    assert [one["resource"]["prefect.resource.name"] for one in kept if one["event"] == "order.shipped"] == ["One"]
    ok("events", "stream", "--run-once", "--output-file", str(file))
    [line] = file.read_text().splitlines()
    assert json.loads(line)["id"] in {one["id"] for one in kept}
    assert len(ok("event", "stream", "--run-once", "--format", "text").stdout.splitlines()) == 1


def test_a_request_is_sent_as_it_is() -> None:
    assert json.loads(ok("api", "GET", "/health").stdout) is True
    assert json.loads(ok("api", "post", "flows/filter").stdout) == []
    made = json.loads(ok("api", "POST", "/flows/", "--data", '{"name": "f"}').stdout)
    assert made["name"] == "f"
    assert invoke("api GET /flows/01a1fc4c-513e-700e-b0c2-082406936e41").exit_code == 4
    assert invoke(["api", "POST", "/flows/", "--data", "{}"]).exit_code == 4
    assert invoke(["api", "POST", "/flows/", "--data", "{"]).exit_code == 2


def test_a_task_server_wants_tasks(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("def f(): ...\n")
    for given, status, words in (
        ("", 2, "Name at least one task"),
        ("plain.py:f", 1, "names a function, not a task"),
        ("plain.py:g", 1, "There is no task at"),
        ("none.py:g", 1, "There is no file 'none.py'"),
        ("-m json", 1, "has no tasks"),
    ):
        done = invoke(f"task serve {given}")
        assert (done.exit_code, words in done.stderr) == (status, True), done.output
