"""Plans: what deploying would change, and that only what was planned is deployed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deploy.projects import FLOWS, Done, deployed, headrace, make_pool, write_flows, write_project
from headrace.client.orchestration import get_client
from headrace.model.deployments import DeploymentUpdate

PROJECT = """
deployments:
- name: one
  entrypoint: flows.py:etl
  version: "1"
  tags: [a]
  schedules:
  - {cron: "0 4 * * *", timezone: Europe/Berlin}
  - {interval: 3600}
  work_pool: {name: local}
- name: two
  entrypoint: flows.py:second
  version: "1"
"""

ONE_LEFT = PROJECT[: PROJECT.index("- name: two")]


@pytest.fixture(autouse=True)
def project(home: Path) -> None:
    write_flows()
    write_project(PROJECT)


@pytest.fixture
def there(client: str) -> None:
    """Have the project deployed."""
    make_pool()
    assert headrace("deploy", "--all").code == 0


def plan(*arguments: str) -> dict[str, Any]:
    done = headrace("plan", "--all", "-o", "json", *arguments)
    assert done.code == 0, done.err
    return {one["name"]: one for one in json.loads(done.out)["deployments"]}


def test_new_deployments_are_created_and_nothing_is_changed(client: str) -> None:
    make_pool()
    planned = plan()
    assert {name: one["action"] for name, one in planned.items()} == {"etl/one": "create", "other-name/two": "create"}
    assert deployed() == {}
    assert get_client(sync_client=True).read_flows() == []


@pytest.mark.usefixtures("there")
def test_nothing_is_to_do_after_deploying() -> None:
    assert {name: (one["action"], one["changes"]) for name, one in plan().items()} == {"etl/one": ("leave", []), "other-name/two": ("leave", [])}
    done = headrace("plan", "--all", "--exit-code")
    assert (done.code, done.out.splitlines()[-1]) == (0, "0 to create, 0 to change, 2 as they are.")


@pytest.mark.usefixtures("there")
def test_changes_are_told_field_by_field() -> None:
    write_project(PROJECT.replace("tags: [a]", "tags: [b]\n  parameters: {n: 2}").replace("  work_pool: {name: local}\n", ""))
    (one,) = (one for one in plan().values() if one["action"] == "change")
    assert {change["field"]: (change["before"], change["after"]) for change in one["changes"]} == {
        "tags": (["a"], ["b"]),
        "parameters": ({}, {"n": 2}),
        "work_pool_name": ("local", None),
        "work_queue_name": ("default", None),
    }
    done = headrace("plan", "--all", "--exit-code")
    assert done.code == 2
    assert '    tags: ["a"] -> ["b"]' in done.out
    assert headrace("deploy", "--all").code == 0
    assert headrace("plan", "--all", "--exit-code").code == 0


@pytest.mark.usefixtures("there")
@pytest.mark.needs_server
def test_next_ten_times_of_schedules_are_told_before_and_after() -> None:
    write_project(PROJECT.replace("0 4 * * *", "30 5 * * 1"))
    one = plan()["etl/one"]
    ((before,), (after,)) = (
        [s for s in one[when] if "Berlin" in s["schedule"] and "every" not in s["schedule"]] for when in ("schedules_before", "schedules_after")
    )
    times = [datetime.fromisoformat(moment) for moment in after["times"]]
    assert len(before["times"]) == len(times) == 10
    week, hour = timedelta(days=7), timedelta(hours=1)  # an hour more or less where the clock is changed
    assert all(later - earlier in (week, week + hour, week - hour) for earlier, later in pairwise(times))
    assert [change["field"] for change in one["changes"]] == ["schedules"]
    kept = [[s for s in one[when] if s["schedule"].startswith("every")] for when in ("schedules_before", "schedules_after")]
    assert kept[0] == kept[1], "an interval without an anchor keeps its times"


@pytest.mark.usefixtures("there")
def test_kept_parameters_that_no_longer_fit_are_told() -> None:
    client = get_client(sync_client=True)
    one = deployed()["one"]
    client.create_deployment_schedules(one.id, [(one.schedules[0].schedule, True)], parameters={"n": 7}, slug="kept")
    Path("flows.py").write_text(FLOWS.replace("n: int = 1", "m: int = 1"))
    write_project("deployments:\n- {name: one, entrypoint: 'flows.py:etl', version: '1', tags: [a], work_pool: {name: local}}\n")
    (told,) = plan()["etl/one"]["invalid"]
    assert told.startswith("schedule kept: The flow has no parameter 'n'")


def test_outputs_of_steps_are_known_later() -> None:
    write_project(
        "build: [{run_shell_script: {id: b, script: touch ran}}]\ndeployments: [{name: x, entrypoint: 'flows.py:etl', version: '{{ b.stdout }}'}]\n"
    )
    assert plan()["etl/x"]["after_build"] == ["version"]
    assert not Path("ran").exists()


def test_plan_says_what_is_wrong() -> None:
    done = headrace("plan", "--all")
    assert done.code == 1
    assert "headrace.yaml:10: deployments[0].work_pool.name: There is no work pool 'local'" in done.err


# --- carrying plans out


def written(*arguments: str) -> Done:
    return headrace("plan", "--out", "plan.json", *arguments)


@pytest.mark.usefixtures("there")
@pytest.mark.needs_server
def test_plan_is_carried_out() -> None:
    write_project(PROJECT.replace("tags: [a]", "tags: [b]"))
    assert written("-n", "one").code == 0
    done = headrace("deploy", "--plan", "plan.json")
    assert (done.code, done.err) == (0, "")
    assert "Changed deployment 'etl/one'" in done.out
    assert "two" not in done.out
    assert deployed()["one"].tags == ["b"]


def test_plan_of_options_is_carried_out() -> None:
    assert written("flows.py:etl", "-n", "x", "--param", "n=4", "--cron", "0 4 * * *").code == 0
    assert headrace("deploy", "--plan", "plan.json").code == 0
    assert deployed()["x"].parameters == {"n": 4}


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("what", ["server", "new", "project", "code", "gone"])
def test_plan_is_refused_when_something_changed_since(what: str) -> None:
    new = PROJECT + "- {name: three, entrypoint: 'flows.py:etl', version: '1'}\n"
    write_project(new.replace("tags: [a]", "tags: [b]"))
    assert written("--all").code == 0
    if what == "server":
        get_client(sync_client=True).update_deployment(deployed()["one"].id, DeploymentUpdate(description="changed by another"))
        expected = "etl/one was changed on the server"
    elif what == "new":
        headrace("deploy", "flows.py:etl", "-n", "three", "--version", "1")
        expected = "etl/three was changed on the server"
    elif what == "project":
        write_project(new.replace("tags: [a]", "tags: [c]"))
        expected = "etl/one was changed in the project"
    elif what == "code":
        Path("flows.py").write_text(FLOWS.replace("n: int = 1", "n: float = 1"))
        expected = "etl/one was changed in the project or its code"
    else:
        write_project(PROJECT.replace("tags: [a]", "tags: [b]"))
        expected = "etl/three is not in the project any more"
    done = headrace("deploy", "--plan", "plan.json")
    assert done.code == 1
    assert expected in done.err
    assert deployed()["one"].tags == ["a"]


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}'])
def test_file_that_is_no_plan_is_refused(text: str) -> None:
    Path("plan.json").write_text(text)
    done = headrace("deploy", "--plan", "plan.json")
    assert done.code == 1
    assert "headrace plan --out plan.json" in done.err


def test_plan_takes_no_other_options() -> None:
    assert headrace("deploy", "--plan", "plan.json", "--all").code == 2


# --- deleting what is not listed any more


def test_prune_deletes_what_the_file_does_not_list_any_more() -> None:
    make_pool()
    headrace("deploy", "flows.py:etl", "-n", "by-hand")
    write_project("name: shop\n" + PROJECT)
    headrace("deploy", "--all")
    write_project("name: mill\n" + PROJECT.replace("name: one", "name: of-another").replace("name: two", "name: of-another-too"))
    headrace("deploy", "--all")
    write_project("name: shop\n" + ONE_LEFT)
    assert {name: one["action"] for name, one in plan("--prune").items()} == {"etl/one": "leave", "other-name/two": "delete"}
    assert "- other-name/two" in headrace("plan", "--all", "--prune").out
    assert headrace("deploy", "--all", "--prune").code == 2
    assert "two" in deployed()
    done = headrace("deploy", "--all", "--prune", "--yes")
    assert (done.code, "Deleted deployment 'other-name/two'." in done.out) == (0, True)
    assert set(deployed()) == {"by-hand", "one", "of-another", "of-another-too"}


def test_prune_by_a_plan_deletes_what_was_planned() -> None:
    make_pool()
    write_project("name: shop\n" + PROJECT)
    headrace("deploy", "--all")
    write_project("name: shop\n" + ONE_LEFT)
    headrace("plan", "--all", "--prune", "--out", "plan.json")
    assert headrace("deploy", "--plan", "plan.json").code == 0
    assert set(deployed()) == {"one"}


@pytest.mark.parametrize(
    ("head", "arguments", "told"),
    [
        ("name: shop\n", ["--all", "--prune", "-n", "one"], "--all and --name exclude each other"),
        ("name: shop\n", ["--prune", "-n", "one"], "goes with --all"),
        ("", ["--all", "--prune"], "headrace.yaml: --prune knows the deployments of a project by its name"),
    ],
)
def test_prune_that_cannot_know_what_to_delete_is_refused(head: str, arguments: list[str], told: str) -> None:
    make_pool()
    write_project(head + PROJECT)
    done = headrace("deploy", *arguments, "--yes")
    assert (done.code, deployed()) == (1, {})
    assert told in done.err
