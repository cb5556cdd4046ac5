"""Deploying from a project file and from options: what becomes of each key, and that nothing happens while something is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.git_server import git, make_repository
from deploy.projects import deployed, headrace, make_pool, write_flows, write_project
from headrace.blocks.system import Secret
from headrace.client.orchestration import get_client
from headrace.deploy.project.schema import project_schema
from headrace.deploy.project.source import read_source
from headrace.events.schemas.automations import EventTrigger
from headrace.rules.schema_check import problems as schema_problems
from headrace.variables import Variable

CRON = pytest.mark.needs_server
"""The extra brings what reads cron strings."""
WHOLE = """
name: whole
prefect-version: 3.0.0
definitions:
  every_day: &every_day
    cron: "0 4 * * *"
    timezone: Europe/Berlin
  pool: &pool
    name: local
    work_queue_name: fast
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: "{{ $HOME }}"
deployments:
  - name: daily
    entrypoint: flows.py:etl
    version: v7
    tags: [a, b]
    parameters:
      n: "{{ prefect.variables.count }}"
      label: "{{ $SOME_LABEL }}!"
    schedules:
      - <<: *every_day
        slug: morning
        parameters: {label: y}
      - interval: 3600
        anchor_date: 2024-01-01T00:00:00Z
        active: false
    concurrency_limit: {limit: 3, collision_strategy: CANCEL_NEW, grace_period_seconds: 90}
    work_pool:
      <<: *pool
      job_variables:
        env: {TOKEN: "{{ prefect.blocks.secret.tok }}"}
        command: "run {{ ctx.flow.name }}"
    triggers:
      - type: event
        enabled: true
        match: {prefect.resource.id: "thing.*"}
        expect: [thing.done]
        within: 60
        schedule_after: PT1M
        parameters: {label: "{{ event.resource.id }}"}
  - name: none
    entrypoint: flows.py:second
    description: Second.
    paused: true
    enforce_parameter_schema: false
    pull: []
"""


@pytest.fixture(autouse=True)
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flows()
    monkeypatch.setenv("SOME_LABEL", "from outside")


@pytest.fixture
def whole(client: str) -> dict[str, Any]:
    make_pool()
    Variable.set("count", 5)
    Secret(value="hush").save("tok")
    write_project(WHOLE, "prefect.yaml")
    done = headrace("deploy", "--all")
    assert (done.code, done.err) == (0, "")
    return deployed()


def test_whole_file_fits_the_schema() -> None:
    write_project(WHOLE)
    assert schema_problems(project_schema(), read_source(Path("headrace.yaml")).data) == []


@pytest.mark.needs_server
def test_every_key_reaches_the_server(whole: dict[str, Any]) -> None:
    daily = whole["daily"]
    assert (daily.version, daily.tags, daily.entrypoint, daily.description) == ("v7", ["a", "b"], "flows.py:etl", "Load.")
    assert daily.parameters == {"n": 5, "label": "from outside!"}
    assert (daily.work_pool_name, daily.work_queue_name) == ("local", "fast")
    assert daily.job_variables == {"env": {"TOKEN": "{{ prefect.blocks.secret.tok }}"}, "command": "run {{ ctx.flow.name }}"}
    assert daily.pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $HOME }}"}}]
    assert daily.parameter_openapi_schema["properties"]["n"]["type"] == "integer"
    assert daily.global_concurrency_limit.limit == 3
    assert (daily.concurrency_options.collision_strategy, daily.concurrency_options.grace_period_seconds) == ("CANCEL_NEW", 90)
    morning, hourly = sorted(daily.schedules, key=lambda one: one.slug is None)
    assert (morning.slug, morning.schedule.cron, morning.schedule.timezone, morning.parameters) == (
        "morning",
        "0 4 * * *",
        "Europe/Berlin",
        {"label": "y"},
    )
    assert (hourly.active, hourly.schedule.interval.total_seconds(), hourly.schedule.anchor_date.year) == (False, 3600, 2024)
    other = whole["none"]
    assert (other.description, other.paused, other.enforce_parameter_schema, other.pull_steps) == ("Second.", True, False, [])
    assert other.schedules == [] and other.work_pool_name is None


@pytest.mark.needs_server
def test_triggers_become_automations_once(whole: dict[str, Any]) -> None:
    assert headrace("deploy", "-n", "daily").code == 0
    (automation,) = get_client(sync_client=True).read_automations()
    assert automation.name == "daily__automation_1"
    assert isinstance(automation.trigger, EventTrigger)
    assert automation.trigger.expect == {"thing.done"}
    assert automation.actions[0].deployment_id == whole["daily"].id
    assert automation.actions[0].parameters == {"label": "{{ event.resource.id }}"}
    assert automation.actions[0].schedule_after.total_seconds() == 60


@pytest.mark.usefixtures("whole")
@pytest.mark.needs_server
def test_schedules_that_the_file_does_not_name_stay() -> None:
    write_project(WHOLE.replace("    schedules:", "    definitions_of_nothing:").replace("definitions_of_nothing", "sla"), "prefect.yaml")
    before = {one.id for one in deployed()["daily"].schedules}
    assert headrace("deploy", "-n", "daily").code == 0
    assert {one.id for one in deployed()["daily"].schedules} == before
    write_project(WHOLE[: WHOLE.index("    schedules:")] + "    schedules: []\n", "prefect.yaml")
    assert headrace("deploy", "-n", "daily").code == 0
    assert deployed()["daily"].schedules == []


def test_steps_tell_how_far_they_are_while_they_work() -> None:
    code = "from headrace.logging import get_logger\n\ndef push():\n    get_logger('far').info('half of it is there')\n    return {}\n"
    Path("telling.py").write_text(code)
    write_flows()
    make_pool()
    write_project("push: [telling.push: {}]\ndeployments: [{name: d, entrypoint: 'flows.py:etl', work_pool: {name: local}}]\n")
    done = subprocess.run([sys.executable, "-m", "headrace", "deploy", "--name", "d", "-o", "json"], capture_output=True, text=True, check=True)
    assert "| INFO    | headrace.far - half of it is there" in done.stderr
    assert json.loads(done.stdout)


def test_one_flow_needs_no_file(client: str) -> None:
    make_pool()
    done = headrace(
        "deploy", "flows.py:etl", "-n", "prod", "-p", "local", "-q", "slow", "--param", "n=3", "--params", '{"label": "z"}', "-t", "x", "-t", "y",
        "--cron", "0 4 * * *", "--interval", "3600", "--timezone", "Europe/Rome", "-jv", "env.A=1x", "-jv", '{"image": "i:1"}', "-jv",
        "stream_output=false", "-cl", "2", "--collision-strategy", "cancel_new", "--version", "9", "-d", "About.",
        "--no-enforce-parameter-schema", "--trigger", '{"expect": ["thing.done"], "posture": "Reactive"}',
    )  # fmt: skip
    assert done.code == 0
    assert done.err.startswith("Warning: Nothing says how the runs of prod find their code")
    assert "Created deployment 'etl/prod'" in done.out
    assert "headrace worker start --pool local" in done.out
    prod = deployed()["prod"]
    assert prod.parameters == {"n": 3, "label": "z"}
    assert prod.job_variables == {"env": {"A": "1x"}, "image": "i:1", "stream_output": False}
    assert {(type(one.schedule).__name__, one.schedule.timezone) for one in prod.schedules} == {
        ("CronSchedule", "Europe/Rome"),
        ("IntervalSchedule", "Europe/Rome"),
    }
    assert (prod.tags, prod.version, prod.description, prod.work_queue_name) == (["x", "y"], "9", "About.", "slow")
    assert (prod.global_concurrency_limit.limit, prod.concurrency_options.collision_strategy) == (2, "CANCEL_NEW")
    assert prod.enforce_parameter_schema is False
    assert prod.pull_steps == [{"headrace.deployments.steps.set_working_directory": {"directory": "/opt/headrace"}}]
    assert len(get_client(sync_client=True).read_automations()) == 1


def test_options_are_put_into_what_the_file_says() -> None:
    make_pool()
    write_project(
        "deployments:\n- name: a\n  entrypoint: flows.py:etl\n  parameters: {n: 1}\n"
        "  work_pool: {name: local, job_variables: {env: {B: 2, C: true}}}\n"
    )
    assert headrace("deploy", "-jv", "env.A=1", "--param", "label=q").code == 0
    assert deployed()["a"].job_variables == {"env": {"A": "1", "B": "2", "C": "true"}}
    assert deployed()["a"].parameters == {"n": 1, "label": "q"}


def test_output_is_the_deployment() -> None:
    done = headrace("deploy", "flows.py:etl", "-n", "a", "-o", "json")
    (made,) = json.loads(done.out)
    assert made["name"] == "a"
    assert made["pull_steps"] == [{"headrace.deployments.steps.set_working_directory": {"directory": str(Path.cwd())}}]


MANY = """
deployments:
- {name: a-1, entrypoint: "flows.py:etl"}
- {name: a-2, entrypoint: "flows.py:second"}
- {name: b, entrypoint: "flows.py:second"}
- {entrypoint: "flows.py:etl"}
"""


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--all"], {"a-1", "a-2", "b"}),
        (["-n", "a-*"], {"a-1", "a-2"}),
        (["-n", "a-1", "-n", "b"], {"a-1", "b"}),
        (["-n", "other-name/*"], {"a-2", "b"}),
        (["-n", "second/b"], {"b"}),
        (["flows.py:etl", "-n", "new"], {"new"}),
    ],
)
def test_names_choose(arguments: list[str], names: set[str]) -> None:
    write_project(MANY)
    assert headrace("deploy", *arguments).code == 0
    assert set(deployed()) == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "There are several deployments: a-1, a-2, b, flows.py:etl. Choose with --name"),
        (["-n", "a-3"], "No deployment is named 'a-3'. Did you mean"),
        (["--all", "-n", "b"], "--all and --name exclude each other"),
        (["--headrace-file", "elsewhere.yaml"], "elsewhere.yaml.*cannot be read"),
    ],
)
def test_what_cannot_be_chosen_is_told(arguments: list[str], message: str) -> None:
    write_project(MANY)
    done = headrace("deploy", *arguments)
    assert done.code == 1
    assert re.search(message, done.err)
    assert deployed() == {}


def test_options_for_several_are_ignored_with_a_warning() -> None:
    make_pool()
    write_project(MANY)
    done = headrace("deploy", "--all", "-p", "local", "--version", "3")
    assert "Warning: --version would change several deployments" in done.err
    assert {one.work_pool_name for one in deployed().values()} == {"local"}


def problems(text: str, *arguments: str) -> list[str]:
    """Deploy a file that is wrong, see that nothing is deployed, and return what is told."""
    write_project(text)
    done = headrace("deploy", *(arguments or ("--all",)))
    assert done.code == 1
    assert deployed() == {}
    first, *rest = done.err.splitlines()
    assert first.startswith("Error: Nothing was deployed")
    return [line.strip() for line in rest]


def test_every_problem_is_told_with_its_line() -> None:
    told = problems(
        "deployments:\n"
        "- name: bad\n"
        "  entrypoint: flows.py:etl\n"
        "  tagz: [a]\n"
        "  schedules:\n"
        "  - cron: 0 4 * * *\n"
        "    interval: 60\n"
        "- name: good\n"
        "  entrypoint: flows.py:etl\n"
    )
    assert told[0].startswith("headrace.yaml:6: deployments[0].schedules[0]: Exactly one of interval, cron, and rrule")
    assert told[1] == "headrace.yaml:4: deployments[0].tagz: There is no key 'tagz' here. Did you mean 'tags'?"
    assert len(told) == 2


ONE = "deployments:\n- name: x\n  entrypoint: flows.py:etl\n  "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deployments:\n- name: x\n  entrypoint: nowhere.py:etl\n", "headrace.yaml:3: deployments[0].entrypoint: There is no file 'nowhere.py'"),
        ("deployments:\n- name: x\n  entrypoint: flows.py:elt\n", "Flow function not found: 'flows.py:elt' names nothing. Did you mean 'etl'?"),
        ("deployments:\n- name: x\n  entrypoint: flows.py:plain\n", "names a function, not a flow"),
        ("deployments:\n- name: x\n  entrypoint: raises.py:etl\n", "raises.py:2 raised while it was imported: ZeroDivisionError"),
        ("deployments:\n- name: x\n", "needs an entrypoint"),
        (ONE + "flow_name: elt\n", "headrace.yaml:4: deployments[0].flow_name: The flow at flows.py:etl is named 'etl'"),
        (ONE + "name: y\n", "headrace.yaml:4: deployments[0]: The key 'name' is given twice, first in line 2"),
        (ONE + "work_pool: {name: locla}\n", "deployments[0].work_pool.name: There is no work pool 'locla'. Did you mean 'local'?"),
        (ONE + "work_pool: {name: local, type: docker}\n", "is of type 'process', not 'docker'"),
        (ONE + "work_pool:\n    name: local\n    job_variables:\n      imgae: x\n", "headrace.yaml:7: deployments[0].work_pool.job_variables.imgae:"),
        (ONE + "work_pool: {name: local, job_variables: {stream_output: maybe}}\n", "stream_output is 'maybe', not of type boolean"),
        (ONE + "parameters:\n    n: many\n", "headrace.yaml:5: deployments[0].parameters.n: n is 'many', not of type integer"),
        (ONE + "parameters: {m: 1}\n", "The flow has no parameter 'm'"),
        pytest.param(
            ONE + "schedules:\n  - cron: 61 * * * *\n", "headrace.yaml:5: deployments[0].schedules[0].cron: Invalid cron string", marks=CRON),
        pytest.param(
            ONE + "schedules:\n  - cron: 0 0 30 2 *\n", "headrace.yaml:5: deployments[0].schedules[0]: The schedule never fires", marks=CRON),
        (ONE + "schedules: [{interval: 60, slug: s}, {interval: 70, slug: s}]\n", "Two schedules have the slug 's'"),
        (ONE + "schedules: [{interval: 60, timezone: Europe/Berln}]\n", "Europe/Berlin"),
        (ONE + "schedule: {interval: 60}\n  schedules: []\n", "Both schedule and schedules are given"),
        (ONE + "concurrency_limit: 0\n", "headrace.yaml:4: deployments[0].concurrency_limit: Input should be greater than 0"),
        (ONE + "description: '{{ $NOT_SET_HERE }}'\n", "headrace.yaml:4: deployments[0].description: The environment variable NOT_SET_HERE"),
        (ONE + "description: '{{ prefect.variables.nope }}'\n", "There is no variable 'nope'"),
        (ONE + "description: '{{ prefect.blocks.secret.nope }}'\n", "There is no block secret/nope"),
        (ONE + "version: '{{ build.tag }}'\n", "no build or push step runs"),
        (ONE + "pull: [{git_clon: {repository: x}}]\n", "headrace.yaml:4: deployments[0].pull[0]:"),
        (ONE + "pull: [{a.b: {}, c.d: {}}]\n", "A step has exactly one key"),
        (ONE + "pull:\n  - git_clone:\n      repository: file:///nowhere/at/all\n", "headrace.yaml:5: deployments[0].pull[0].git_clone: The rep"),
        (ONE + "pull:\n  - git_clone: {repository: 'https://x/y', access_token: '{{ prefect.blocks.secret.gone }}'}\n", "no block secret/gone"),
        (ONE + "triggers: [{type: event, posture: Sometimes}]\n", "deployments[0].triggers[0].posture:"),
        ("deployments:\n- {name: x, entrypoint: 'flows.py:etl'}\n- {name: x, entrypoint: 'flows.py:etl'}\n", "headrace.yaml:3: deployments[1].name:"),
        ("deployments:\n- {name: a/b, entrypoint: 'flows.py:etl'}\n", "deployments[0].name: String should match pattern"),
        ("deployments: [\n", "This is no YAML"),
        ("a: &a\n  b: *a\n", "The anchor holds itself"),
        ("- 1\n", "A project file is a mapping"),
        ("deployments:\n- text\n", "headrace.yaml:2: deployments[0]: A deployment is a mapping"),
    ],
)  # fmt: skip
def test_problem_is_told_where_it_is(text: str, message: str) -> None:
    make_pool()
    Path("raises.py").write_text("\n1 / 0\n")
    told = problems(text)
    assert message in "\n".join(told), told


def test_deployment_that_is_there_twice_is_told_beside_what_else_is_wrong() -> None:
    told = problems(ONE + "parameters: {m: 1}\n" + ONE.removeprefix("deployments:\n") + "tags: [a]\n")
    assert told == [
        "headrace.yaml:4: deployments[0].parameters.m: The flow has no parameter 'm'. It has: n, label.",
        "headrace.yaml:5: deployments[1].name: The deployment 'etl/x' is there twice, first at headrace.yaml:2. Name one otherwise.",
    ]


def test_placeholder_that_stands_for_nothing_is_told_once() -> None:
    (told,) = problems(ONE + "tags: ['{{ prefect.variables.gone }}']\n")
    assert told.startswith("headrace.yaml:4: deployments[0].tags[0]: There is no variable 'gone'.")


def test_value_is_told_as_it_is_written() -> None:
    (told,) = problems(ONE + "schedules: [{interval: -5}]\n")
    assert told == "headrace.yaml:4: deployments[0].schedules[0].interval: Input should be greater than 0 seconds (it is -5)"


def test_schedule_without_its_required_parameters_is_told() -> None:
    told = problems("deployments:\n- name: x\n  entrypoint: flows.py:second\n  schedules:\n  - cron: 0 4 * * *\n")
    assert told == [
        "headrace.yaml:5: deployments[0].schedules[0]: Runs of this schedule would lack day, which the flow requires. Give it in parameters."
    ]


def test_aliases_that_multiply_are_refused() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 8))
    assert "more than 100000 values" in problems(f"l0: &l0 [x]\n{levels}\n")[0]


@pytest.mark.needs_server
def test_problem_of_an_option_names_it() -> None:
    done = headrace("deploy", "flows.py:etl", "-n", "x", "--cron", "x")
    assert "--cron, --interval, --rrule: schedules[0].cron: Invalid cron string" in done.err
    done = headrace("deploy", "flows.py:etl", "-n", "x", "-p", "nope", "--param", "n=many")
    assert "--pool: work_pool.name: There is no work pool 'nope'" in done.err
    assert "--param: parameters.n: n is 'many'" in done.err


def test_reachable_remote_and_its_branch_are_looked_for(tmp_path: Path) -> None:
    make_repository(tmp_path / "origin")
    text = ONE + f"pull: [{{git_clone: {{repository: 'file://{tmp_path}/origin', branch: BRANCH}}}}]\n"
    assert "has no branch 'mian'. Did you mean 'main'?" in problems(text.replace("BRANCH", "mian"))[0]
    write_project(text.replace("BRANCH", "main"))
    assert headrace("deploy").code == 0


# --- steps while deploying

STEPS = """
build:
- run_shell_script:
    id: build_image
    script: sh -c "echo built >> steps.log; echo image:7"
    stream_output: false
push:
- run_shell_script:
    script: sh -c "echo pushed '{{ build_image.stdout }}' >> steps.log"
    stream_output: false
pull:
- set_working_directory: {directory: "/code/{{ build_image.stdout }}/{{ later.on }}"}
deployments:
- name: one
  entrypoint: flows.py:etl
  version: "{{ build_image.stdout }}"
  work_pool: {name: local, job_variables: {image: "{{ build_image.stdout }}", command: "{{ ctx.flow.name }}"}}
- name: two
  entrypoint: flows.py:etl
"""


def test_outputs_of_steps_are_put_in_and_shared_steps_run_once() -> None:
    make_pool()
    write_project(STEPS)
    done = headrace("deploy", "--all")
    assert done.code == 0, done.err
    one = deployed()["one"]
    assert (one.version, one.job_variables) == ("image:7", {"image": "image:7", "command": "{{ ctx.flow.name }}"})
    assert one.pull_steps == [{"set_working_directory": {"directory": "/code/image:7/{{ later.on }}"}}]
    assert Path("steps.log").read_text() == "built\npushed image:7\n"


def test_failing_step_deploys_nothing() -> None:
    make_pool()
    write_project(STEPS.replace("echo image:7", "exit 4"))
    done = headrace("deploy", "--all")
    assert done.code == 1
    assert "Encountered error while running run_shell_script" in done.err
    assert deployed() == {}


def test_output_that_no_step_gave_deploys_nothing() -> None:
    make_pool()
    write_project(STEPS.replace('version: "{{ build_image.stdout }}"', 'version: "{{ build_imge.stdout }}"'))
    done = headrace("deploy", "--all")
    assert "headrace.yaml:16: deployments[0].version: No step gave {{ build_imge.stdout }}. Did you mean 'build_image'" in done.err
    assert deployed() == {}


def test_version_is_that_of_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_SHA", "CI_COMMIT_SHA", "BITBUCKET_COMMIT", "BUILD_SOURCEVERSION"):
        monkeypatch.delenv(name, raising=False)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "flows.py")
    git(tmp_path, "commit", "--quiet", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    headrace("deploy", "flows.py:etl", "-n", "a")
    headrace("deploy", "flows.py:etl", "-n", "b", "--version-type", "prefect:simple")
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef")
    headrace("deploy", "flows.py:etl", "-n", "c")
    assert deployed()["a"].version == commit[:8]
    assert deployed()["b"].version not in (None, commit[:8])
    assert deployed()["c"].version == "01234567"


def test_deployment_can_be_saved_to_the_file() -> None:
    assert headrace("deploy", "flows.py:etl", "-n", "a", "--param", "n=4", "--save").code == 0
    text = Path("headrace.yaml").read_text()
    Path("headrace.yaml").write_text(text.replace("deployments:", "# kept\ndeployments:"))
    assert headrace("deploy", "flows.py:etl", "-n", "b", "--save").code == 0
    assert "# kept" in Path("headrace.yaml").read_text()
    done = headrace("deploy", "--all")
    assert done.out.count("Changed deployment") == 2
    assert deployed()["a"].parameters == {"n": 4}
