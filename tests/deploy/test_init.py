"""Beginning projects, and asking for what a deployment lacks."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deploy.git_server import git
from deploy.projects import deployed, headrace, make_pool, write_flows, write_project
from headrace.blocks.system import Secret
from headrace.deploy.project.choice import Options, Project, choose, read_project
from headrace.deploy.project.schema import project_schema
from headrace.deploy.project.wizard import complete, find_flows, save
from headrace.deployments.base import configure_project_by_recipe, create_default_headrace_yaml, initialize_project
from headrace.rules.schema_check import problems as schema_problems

RECIPES = ["azure", "docker", "docker-azure", "docker-gcs", "docker-git", "docker-s3", "gcs", "git", "local", "s3"]
FIELDS = {"image_name": "r/i", "tag": "t", "repository": "https://x/y.git", "branch": "b", "bucket": "bkt", "container": "c", "folder": "f"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_makes_a_project_file_that_can_be_read(recipe: str) -> None:
    arguments = [part for name, value in FIELDS.items() for part in ("--field", f"{name}={value}")]
    done = headrace("init", "--recipe", recipe, "--name", "shop", *arguments)
    assert (done.code, done.err) == (0, "")
    project = read_project(None, Path.cwd())
    assert project.name == "headrace.yaml"
    text = Path("headrace.yaml").read_text()
    assert "{{ repository }}" not in text and "{{ image_name }}" not in text
    assert ("{{ build_image.image }}" in text) == recipe.startswith("docker")
    assert yaml.safe_load(text)["pull"]
    assert "__pycache__/" in Path(".headraceignore").read_text()


@pytest.mark.parametrize("recipe", ["azure", "docker-azure"])
def test_steps_for_azure_name_the_extra_and_the_login_that_they_need(recipe: str) -> None:
    headrace("init", "--recipe", recipe, "--name", "shop", *(part for name, value in FIELDS.items() for part in ("--field", f"{name}={value}")))
    project = yaml.safe_load(Path("headrace.yaml").read_text())
    ((push, given),) = project["push"][-1].items()
    assert push == "headrace_azure.deployments.steps.push_to_azure_blob_storage"
    assert given["requires"] == "headrace-azure[blob_storage]"
    for step in (given, *project["pull"][0].values()):
        assert step["credentials"].startswith("{{ headrace.blocks.azure-blob-storage-credentials.")


def test_project_file_names_its_schema_for_editors() -> None:
    headrace("init", "--recipe", "local")
    first = Path("headrace.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=.headrace.schema.json"
    schema = json.loads(Path(".headrace.schema.json").read_text())
    assert schema == json.loads(headrace("init", "--schema").out)
    assert schema_problems(schema, yaml.safe_load(Path("headrace.yaml").read_text())) == []


@pytest.mark.parametrize(
    ("deployment", "told"),
    [
        ("{name: x, entrypoint: 'f.py:f', tags: one, version: 2, concurrency_limit: '{{ prefect.variables.n }}', schedules: }", None),
        ("{version_type: 'vcs:git', schedules: [{interval: 01:00:00}, {interval: 60}, {rrule: {rrule: 'FREQ=DAILY'}}]}", None),
        ("{pull: {git_clone: {repository: x}}, build: [], triggers: [{type: event, expect: [a], within: 60}]}", None),
        ("{tagz: [a]}", "tagz is unknown"),
        ("{schedules: [{crn: '* * * * *'}]}", "schedules"),
        ("{paused: sometimes}", "paused"),
        ("{concurrency_limit: {limit: 1, collision_strategy: WAIT}}", "concurrency_limit"),
        ("{triggers: [{type: never}]}", "triggers"),
    ],
)
def test_schema_takes_what_deploy_takes(deployment: str, told: str | None) -> None:
    found = schema_problems(project_schema(), yaml.safe_load(f"anything: else\ndeployments: [{deployment}]"))
    assert (found == []) if told is None else any(told in one for one in found), found


def test_files_that_are_there_stay() -> None:
    Path("prefect.yaml").write_text("name: mine\n")
    Path(".headraceignore").write_text("mine")
    done = headrace("init", "--recipe", "local")
    assert done.code == 1
    assert "left as it is" in done.err
    assert not Path("headrace.yaml").exists()


def test_missing_fields_are_named() -> None:
    done = headrace("init", "--recipe", "s3", "--field", "bucket=b")
    assert (done.code, list(Path.cwd().glob("*.yaml"))) == (2, [])
    assert "--field folder=VALUE" in done.err


def test_unknown_recipe_names_the_near_one() -> None:
    assert "docker-git" in headrace("init", "--recipe", "docker-gti").err
    with pytest.raises(ValueError, match="Unknown recipe 'nope'"):
        configure_project_by_recipe("nope")


def test_recipe_is_guessed_from_the_folder(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", "https://user:pw@host/me/shop.git")
    (tmp_path / "x").write_text("")
    git(tmp_path, "add", "x")
    git(tmp_path, "commit", "--quiet", "-m", "x")
    assert initialize_project() == [".headraceignore", "headrace.yaml", ".headrace.schema.json"]
    (step,) = yaml.safe_load(Path("headrace.yaml").read_text())["pull"]
    assert step == {"headrace.deployments.steps.git_clone": {"repository": "https://host/me/shop.git", "branch": "main"}}


def test_file_is_written_once(tmp_path: Path) -> None:
    assert create_default_headrace_yaml(str(tmp_path), name="n", contents={"pull": []}) is True
    assert create_default_headrace_yaml(str(tmp_path)) is False
    assert yaml.safe_load((tmp_path / "headrace.yaml").read_text())["name"] == "n"


def test_file_from_a_recipe_can_be_filled_in_and_deployed() -> None:
    write_flows()
    make_pool()
    headrace("init", "--recipe", "local")
    text = Path("headrace.yaml").read_text()
    write_project(
        text.replace("- name:\n", "- name: x\n").replace("entrypoint:\n", "entrypoint: flows.py:etl\n").replace("    name:\n", "    name: local\n")
    )
    assert headrace("deploy").code == 0
    assert deployed()["x"].work_pool_name == "local"


# --- the wizard


class Answers:
    """Answers in the order of the questions; what was asked is kept."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def choose(self, question: str, choices: Sequence[str]) -> str:
        self.asked.append(question)
        answer = self.answers.pop(0)
        assert answer in choices
        return answer

    def text(self, question: str, default: str | None = None) -> str:
        self.asked.append(question)
        return self.answers.pop(0)

    def yes(self, question: str) -> bool:
        self.asked.append(question)
        return self.answers.pop(0) == "y"

    def secret(self, question: str) -> str:
        return self.text(question)


def no_project() -> Project:
    return read_project(None, Path.cwd())


def test_flows_are_found_without_running_them() -> None:
    write_flows()
    for name in (".venv/x.py", "sub/more.py", "broken.py"):
        Path(name).parent.mkdir(exist_ok=True)
    Path(".venv/x.py").write_text("@flow\ndef hidden(): ...")
    Path("sub/more.py").write_text("1 / 0\n@headrace.flow(name='x')\nasync def deep(): ...\n@task\ndef no(): ...")
    Path("broken.py").write_text("def (")
    assert find_flows(Path.cwd()) == ["flows.py:etl", "flows.py:second", "sub/more.py:deep"]


def test_everything_that_is_missing_is_asked() -> None:
    write_flows()
    make_pool()
    answers = Answers("flows.py:etl", "prod", "local", "n", "n", "y", "cron", "0 4 * * *", "Europe/Rome", "y", '{"n": 2}', "n")
    options = complete(Options(), no_project(), answers, Path.cwd())
    schedule = {"cron": "0 4 * * *", "timezone": "Europe/Rome", "parameters": {"n": 2}}
    assert options == Options(entrypoint="flows.py:etl", names=("prod",), pool="local", schedules=(schedule,))


def test_what_is_given_is_not_asked() -> None:
    answers = Answers("n", "n")
    given = Options(entrypoint="flows.py:etl", names=("x",), pool="p")
    assert complete(given, no_project(), answers, Path.cwd()) == given
    assert answers.asked == ["Shall runs pull the code from remote storage?", "Shall it run on a schedule?"]


def test_answers_make_the_steps_that_build_and_push_an_image() -> None:
    make_pool()
    answers = Answers("y", "registry/shop", "3", "Dockerfile.shop", "n", "y", "y", "mine", "n")
    found = complete(Options(entrypoint="f.py:f", names=("x",), pool="local"), no_project(), answers, Path.cwd())
    (build,) = found.steps["build"][0].values()
    (push,) = found.steps["push"][0].values()
    assert (build["image_name"], build["tag"], build["dockerfile"]) == ("registry/shop", "3", "Dockerfile.shop")
    assert push["credentials"] == "{{ headrace.blocks.docker-registry-credentials.mine }}"
    assert found.job_variables == {"image": "{{ build_image.image }}"}
    answers = Answers("y", "registry/shop", "3", "auto", "n", "n", "n")
    found = complete(Options(entrypoint="f.py:f", names=("x",), pool="local"), no_project(), answers, Path.cwd())
    assert set(found.steps) == {"build", "pull"}


def test_answers_make_the_steps_that_pull_from_a_private_repository() -> None:
    write_flows()
    answers = Answers("y", "a git repository", "https://host/shop.git", "main", "y", "shop-token", "hush", "n")
    given = Options(entrypoint="flows.py:etl", names=("x",), pool="p")
    found = complete(given, no_project(), answers, Path.cwd())
    clone = {"repository": "https://host/shop.git", "branch": "main", "access_token": "{{ headrace.blocks.secret.shop-token }}"}
    assert found == replace(given, steps={"pull": [{"headrace.deployments.steps.git_clone": clone}]})
    assert Secret.load("shop-token").get() == "hush"
    write_project("pull:\n- set_working_directory: {directory: /}\n")
    (entry,) = choose(no_project(), found, print, lambda one: [])
    file = save(entry, no_project(), Path.cwd())
    assert yaml.safe_load(file.read_text())["deployments"][0]["pull"] == found.steps["pull"]


def test_answers_make_the_steps_that_push_to_a_bucket() -> None:
    answers = Answers("y", "S3", "bkt", "shop", "y", "prod", "n")
    found = complete(Options(entrypoint="f.py:f", names=("x",), pool="p"), no_project(), answers, Path.cwd())
    for key in ("push", "pull"):
        (inputs,) = found.steps[key][0].values()
        assert inputs["credentials"] == "{{ headrace.blocks.aws-credentials.prod }}"


def test_where_the_code_is_is_not_asked_when_the_file_says_it() -> None:
    write_project("pull:\n- set_working_directory: {directory: /}\n")
    answers = Answers("n")
    complete(Options(entrypoint="flows.py:etl", names=("x",), pool="p"), no_project(), answers, Path.cwd())
    assert answers.asked == ["Shall it run on a schedule?"]


def test_pool_can_be_made() -> None:
    answers = Answers("y", "mine", "n", "n")
    assert complete(Options(entrypoint="f.py:f", names=("x",)), no_project(), answers, Path.cwd()).pool == "mine"


def test_one_of_several_is_chosen() -> None:
    write_project("deployments:\n- {name: a, entrypoint: 'f.py:f'}\n- {name: b, entrypoint: 'f.py:f'}\n")
    assert complete(Options(), no_project(), Answers("b"), Path.cwd()).names == ("b",)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX")
def test_questions_are_asked_on_a_terminal() -> None:
    """With a real terminal: number of the flow, name, pool, no image, no storage, no schedule, yes to saving."""
    write_flows()
    make_pool()
    leader, follower = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "headrace", "deploy"], stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    os.write(leader, b"1\nfrom-terminal\n1\nn\nn\nn\ny\n")
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait(60) == 0, shown.decode()
    assert deployed()["from-terminal"].work_pool_name == "local"
    assert "name: from-terminal" in Path("headrace.yaml").read_text()


@pytest.mark.parametrize("command", ["deploy", "plan", "init"])
def test_help_is_cheap_and_names_every_option(command: str, tmp_path: Path) -> None:
    code = (
        "import sys, headrace.cli.main as cli\n"
        f"cli.main([{command!r}, '--help'])\n"
        "print(sorted(name for name in sys.modules if name.startswith(('headrace.server', 'headrace.store', 'headrace.engine', 'fastapi', 'yaml'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--name" in done.stdout
