"""`headrace run`, `flow`, `flow-run` and `task-run`, each command a process of its own where it runs a flow."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.root import run
from headrace.client.spool import close_process_spool

FLOWS = '''
from pathlib import Path

from headrace import flow, get_run_logger, tags, task


@task
def add(x):
    get_run_logger().info("adding to %s", x)
    return x + 1


@flow(flow_run_name="good-{n}")
def good(n: int, label: str = "x"):
    """Add."""
    print("label", repr(label))
    return add(n)


@flow(flow_run_name="bad-run")
def bad():
    raise ValueError("no good")


@flow(flow_run_name="flaky-run")
def flaky(marker: str):
    if not Path(marker).exists():
        raise RuntimeError("not yet")


@flow
async def waits(n: int = 1):
    return n


@flow
def counts(n: int = 3):
    for i in range(n):
        print("value", i)
        yield i


@flow
def anything(**options):
    print(sorted(options))
'''


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    path = tmp_path / "some_flows.py"
    path.write_text(FLOWS)
    return path


@pytest.fixture(autouse=True)
def fresh_process(home: Path) -> Iterator[None]:
    """Begin without an outbox, as a new process would."""
    close_process_spool()
    yield
    close_process_spool()


def spawn(*arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return subprocess.run([sys.executable, "-m", "headrace", *arguments], capture_output=True, text=True, input=input)


def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def listed(*arguments: str) -> list[dict[str, Any]]:
    done = invoke(*arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestRun:
    def test_data_goes_to_stdout_and_the_log_to_stderr(self, flows: Path) -> None:
        done = spawn("run", "some_flows.py:good", "--param", "n=3", "-o", "json")
        assert done.returncode == 0, done.stderr
        printed, _, data = done.stdout.partition("\n")
        assert printed == "label 'x'"  # what the flow itself prints
        run = json.loads(data)
        assert (run["name"], run["state"]["type"], run["parameters"]) == ("good-3", "COMPLETED", {"n": 3, "label": "x"})
        assert "Finished in state Completed()" in done.stderr

    def test_it_says_where_to_look(self, flows: Path) -> None:
        done = invoke("run", "some_flows.py:good", "-p", "n=3")
        [hint] = [line for line in done.stderr.splitlines() if line.startswith("Look at it")]
        run_id = hint.split("inspect ")[1].split("`")[0]
        assert listed("flow-run", "ls")[0]["id"] == run_id

    def test_a_module_is_found_in_the_working_directory(self, flows: Path) -> None:
        assert spawn("run", "some_flows:waits").returncode == 0
        assert spawn("run", "some_flows.waits").returncode == 0

    def test_a_generator_is_run_to_its_end(self, flows: Path) -> None:
        done = invoke("run", "some_flows.py:counts", "-p", "n=2")
        assert (done.returncode, done.stdout) == (0, "value 0\nvalue 1\n")
        assert [run["state"]["type"] for run in listed("flow-run", "ls")] == ["COMPLETED"]

    def test_a_failed_run_exits_with_1(self, flows: Path) -> None:
        done = spawn("run", "some_flows.py:bad")
        assert done.returncode == 1
        assert "ValueError: no good" in done.stderr
        assert listed("flow-run", "ls", "--state", "failed")[0]["name"] == "bad-run"

    @pytest.mark.parametrize(
        ("pairs", "label"),
        [(["label=plain text"], "plain text"), (['label="7"'], "7"), (["label=a=b"], "a=b")],
    )
    def test_values_are_json_or_text(self, flows: Path, pairs: list[str], label: str) -> None:
        done = invoke("run", "some_flows.py:good", "--params", '{"n": 1, "label": "overruled"}', *(part for pair in pairs for part in ("-p", pair)))
        assert done.stdout == f"label {label!r}\n"

    def test_parameters_are_read_from_stdin(self, flows: Path) -> None:
        assert spawn("run", "some_flows.py:good", "--params", "-", input='{"n": 5}').returncode == 0
        assert listed("flow-run", "ls")[0]["name"] == "good-5"

    def test_keyword_arguments_of_any_name_are_passed(self, flows: Path) -> None:
        assert invoke("run", "some_flows.py:anything", "-p", "a=1", "-p", "b=2").stdout == "['a', 'b']\n"

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["-p", "lable=1", "-p", "n=1"], "no parameter 'lable'. Did you mean 'label'?"),
            (["-p", "n=abc"], "n: Input should be a valid integer"),
            ([], "needs n"),
        ],
    )
    def test_parameters_that_do_not_fit_are_refused_before_there_is_a_run(self, flows: Path, arguments: list[str], told: str) -> None:
        done = invoke("run", "some_flows.py:good", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert told in done.stderr
        assert "Traceback" not in done.stderr
        assert listed("flow-run", "ls") == []

    @pytest.mark.parametrize("arguments", [["--params", "[1]"], ["--params", "{"], ["-p", "n"]])
    def test_parameters_that_cannot_be_read_are_wrong_usage(self, flows: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["run", "some_flows.py:good", *arguments]) == 2
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        ("entrypoint", "told"),
        [
            ("some_flows.py:goood", "Did you mean 'good'"),
            ("nowhere.py:good", "There is no file 'nowhere.py'"),
            ("no_such_module:good", "no_such_module"),
            ("some_flows.py", "names no flow"),
            ("some_flows.py:Path", "not a flow"),
        ],
    )
    def test_an_entrypoint_without_a_flow_is_refused(self, flows: Path, entrypoint: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["run", entrypoint]) == 1
        shown = capsys.readouterr()
        assert told in shown.err
        assert shown.out == ""

    def test_a_script_that_raises_is_told_in_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "broken.py").write_text("import no_such_package_xyz\n")
        assert run(["run", "broken.py:f"]) == 1
        assert "ModuleNotFoundError: No module named 'no_such_package_xyz'" in capsys.readouterr().err


@pytest.fixture
def two_runs(flows: Path) -> dict[str, str]:
    """Run `good` and `bad` once; return their run ids by flow."""
    assert invoke("run", "some_flows.py:good", "-p", "n=1").returncode == 0
    assert invoke("run", "some_flows.py:bad").returncode == 1
    return {"good" if run["name"].startswith("good") else "bad": run["id"] for run in listed("flow-run", "ls")}


class TestLists:
    def test_flows_are_listed(self, two_runs: dict[str, str]) -> None:
        assert {flow["name"] for flow in listed("flows", "ls")} == {"good", "bad"}
        assert len(listed("flow", "ls", "--limit", "1")) == 1
        assert invoke("flow", "ls").stdout.splitlines()[0].split() == ["ID", "NAME", "CREATED", "TAGS"]

    def test_flow_runs_are_listed_newest_first_with_whole_ids(self, two_runs: dict[str, str]) -> None:
        lines = invoke("flow-run", "ls").stdout.splitlines()
        assert lines[0].split() == ["ID", "FLOW", "NAME", "STATE", "WHEN"]
        assert [line.split()[:4] for line in lines[1:]] == [
            [two_runs["bad"], "bad", "bad-run", "Failed"],
            [two_runs["good"], "good", "good-1", "Completed"],
        ]

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            (["--state", "Failed"], ["bad-run"]),
            (["--state", "failed", "--state", "COMPLETED"], ["bad-run", "good-1"]),
            (["--state-type", "completed"], ["good-1"]),
            (["--flow-name", "good"], ["good-1"]),
            (["--name", "od-"], ["good-1"]),
            (["--tag", "none-such"], []),
            (["--since", "1h"], ["bad-run", "good-1"]),
            (["--since", "2100-01-01"], []),
            (["--limit", "1"], ["bad-run"]),
        ],
    )
    def test_filters_narrow_the_list(
        self, two_runs: dict[str, str], filters: list[str], found: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["flow-run", "ls", *filters, "-o", "name"]) == 0
        assert capsys.readouterr().out.split() == found

    @pytest.mark.parametrize(
        ("filters", "told"),
        [
            (["--state", "Bogus"], "States are: Scheduled, Late,"),
            (["--state", "Compleeted"], "Did you mean 'Completed'?"),
            (["--state-type", "DONE"], "'DONE' is not one of"),
            (["--limit", "0"], "--limit"),
        ],
    )
    @pytest.mark.parametrize("kind", ["flow-run", "task-run"])
    def test_a_filter_that_means_nothing_is_wrong_usage(self, kind: str, filters: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run([kind, "ls", *filters]) == 2
        assert told in capsys.readouterr().err

    def test_a_time_that_means_nothing_is_wrong_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "ls", "--since", "yesterday"]) == 2
        assert "neither a span" in capsys.readouterr().err

    def test_a_flow_that_is_not_there_exits_with_4_and_near_names(self, two_runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "ls", "--flow-name", "goood"]) == 4
        assert "Did you mean 'good'?" in capsys.readouterr().err

    def test_task_runs_are_listed(self, two_runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        [found] = listed("task-runs", "ls")
        assert (found["name"], found["flow_run_id"]) == ("add-0", two_runs["good"])
        assert listed("task-run", "ls", "--flow-run", two_runs["bad"]) == []
        assert listed("task-run", "ls", "--task-run-name", "add-0", "--state", "completed")[0]["id"] == found["id"]
        assert run(["task-run", "inspect", found["id"], "-o", "name"]) == 0
        assert capsys.readouterr().out == "add-0\n"


class TestLogs:
    def test_the_log_of_a_flow_run_has_the_lines_of_its_tasks(self, two_runs: dict[str, str]) -> None:
        lines = invoke("flow-run", "logs", two_runs["good"]).stdout.splitlines()
        assert "Flow run 'good-1' - Beginning flow run 'good-1'" in lines[0]
        assert any("| INFO    | Task run 'add-0' - adding to 1" in line for line in lines)
        assert "Finished in state Completed()" in lines[-1]

    def test_head_tail_and_reverse_choose_and_order_lines(self, two_runs: dict[str, str]) -> None:
        whole = [log["message"] for log in listed("flow-run", "logs", two_runs["good"])]
        assert len(whole) >= 3

        def chosen(*options: str) -> list[str]:
            return [log["message"] for log in listed("flow-run", "logs", two_runs["good"], *options)]

        assert chosen("--reverse") == whole[::-1]
        assert chosen("--head", "-n", "2") == whole[:2]
        assert chosen("--tail", "-n", "2") == whole[-2:]
        assert chosen("-t", "-n", "2", "-r") == whole[-2:][::-1]
        assert chosen("-h", "-n", "2", "-r") == whole[:2][::-1]
        assert chosen("-n", "1") == whole[:1]

    def test_head_and_tail_exclude_each_other(self, two_runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "logs", two_runs["good"], "--head", "--tail"]) == 2
        assert "exclude each other" in capsys.readouterr().err

    def test_the_log_of_a_task_run_has_its_lines_alone(self, two_runs: dict[str, str]) -> None:
        [found] = listed("task-run", "ls")
        lines = invoke("task-run", "logs", found["id"]).stdout.splitlines()
        assert lines
        assert all("Task run 'add-0' - " in line for line in lines)


class TestOneRun:
    def test_an_unknown_id_exits_with_4_and_a_bad_one_with_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        unknown = "00000000-0000-0000-0000-000000000001"
        for command in (["flow-run", "inspect"], ["flow-run", "logs"], ["flow-run", "cancel"], ["flow-run", "watch"], ["task-run", "logs"]):
            assert run([*command, unknown]) == 4
            assert run([*command, "no-id"]) == 2
        assert capsys.readouterr().out == ""

    def test_inspect_shows_yaml_to_people_and_opens_nothing_without_a_user_interface(
        self, two_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["flow-run", "inspect", two_runs["good"]]) == 0
        assert "name: good-1\n" in capsys.readouterr().out
        assert run(["flow-run", "inspect", two_runs["good"], "--web"]) == 1
        assert "no user interface" in capsys.readouterr().err

    def test_a_run_is_deleted_once_and_only_with_consent(self, two_runs: dict[str, str]) -> None:
        refused = spawn("flow-run", "delete", two_runs["bad"])
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "Add --yes" in refused.stderr
        assert len(listed("flow-run", "ls")) == 2
        assert invoke("flow-run", "delete", two_runs["bad"], "--yes").returncode == 0
        assert [run["name"] for run in listed("flow-run", "ls")] == ["good-1"]
        assert invoke("flow-run", "delete", two_runs["bad"], "--yes").returncode == 4

    def test_a_run_that_has_ended_is_not_cancelled(self, two_runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "cancel", two_runs["good"]]) == 1
        assert "already in terminal state COMPLETED" in capsys.readouterr().err

    @pytest.mark.parametrize(("which", "status"), [("good", 0), ("bad", 1)])
    def test_watching_a_run_that_has_ended_tells_its_end(self, two_runs: dict[str, str], which: str, status: int) -> None:
        done = invoke("flow-run", "watch", two_runs[which])
        assert done.returncode == status
        assert "Finished in state" in done.stdout.splitlines()[-1]
        assert "is in state" in done.stderr


@pytest.mark.parametrize(
    ("words", "count", "offered"),
    [("headrace flow-run ls --flow-name ", 4, "good"), ("headrace flow-run inspect ", 3, "good-1"), ("headrace task-run logs ", 3, "add-0")],
)
def test_the_shell_is_offered_what_there_is(two_runs: dict[str, str], words: str, count: int, offered: str) -> None:
    shell = {"_HEADRACE_COMPLETE": "zsh_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    done = subprocess.run([sys.executable, "-m", "headrace"], capture_output=True, text=True, env={**os.environ, **shell})
    assert offered in done.stdout


SLOW = """
import sys

from headrace import flow, get_run_logger


@flow(flow_run_name="slow-run")
def slow():
    get_run_logger().info("begun")
    print("ready", flush=True)
    sys.stdin.readline()
    get_run_logger().info("told to go on")
"""


def test_a_run_is_watched_from_another_process_until_it_ends(tmp_path: Path) -> None:
    (tmp_path / "slow_flow.py").write_text(SLOW)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    runner = subprocess.Popen([sys.executable, "-m", "headrace", "run", "slow_flow.py:slow"], **pipes)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "ready\n"
    [found] = listed("flow-run", "ls", "--state", "running")
    watcher = subprocess.Popen([sys.executable, "-m", "headrace", "flow-run", "watch", found["id"], "--interval", "0.1"], **pipes)
    assert watcher.stderr is not None
    assert watcher.stderr.readline() == "Flow run 'slow-run' is in state Running()\n"
    runner.communicate("\n", timeout=30)
    out, err = watcher.communicate(timeout=30)
    assert (runner.returncode, watcher.returncode) == (0, 0)
    assert err == "Flow run 'slow-run' is in state Completed()\n"
    told = [line.rpartition(" - ")[2] for line in out.splitlines()]
    assert told[:3] == ["Beginning flow run 'slow-run' for flow 'slow'", "begun", "told to go on"]


class TestScheduledRun:
    @pytest.fixture
    def scheduled(self) -> str:
        """Create a run that nothing starts; return its id."""
        from datetime import timedelta

        from headrace.cli.runs import call
        from headrace.model.clock import now
        from headrace.model.endpoints.flow_runs import CREATE_FLOW_RUN
        from headrace.model.endpoints.flows import CREATE_FLOW
        from headrace.model.flow_runs import FlowRunCreate
        from headrace.model.flows import FlowCreate
        from headrace.model.states import Scheduled, StateCreate

        flow = call(CREATE_FLOW, FlowCreate(name="later"))
        state = StateCreate(**Scheduled(scheduled_time=now() + timedelta(days=1)).model_dump(include={"type", "name", "state_details"}))
        return str(call(CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, name="later-run", state=state)).id)

    def test_watching_gives_up_after_the_timeout(self, scheduled: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "watch", scheduled, "--interval", "0.1", "--timeout", "0.2"]) == 8
        assert "has not ended within 0.2 seconds" in capsys.readouterr().err

    def test_it_is_cancelled_at_once_and_then_watched_as_cancelled(self, scheduled: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "cancel", scheduled]) == 0
        assert capsys.readouterr().out == "Flow run 'later-run' is cancelled.\n"
        assert run(["flow-run", "watch", scheduled]) == 6

    def test_it_is_not_retried(self, scheduled: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "retry", "later-run", "-e", "x.py:f"]) == 1
        assert "it is Scheduled, and has not ended" in capsys.readouterr().err


class TestRetry:
    def test_the_same_run_is_run_again_with_its_parameters(self, flows: Path, tmp_path: Path) -> None:
        marker = tmp_path / "marker"
        assert invoke("run", "some_flows.py:flaky", "-p", f"marker={marker}").returncode == 1
        marker.write_text("")
        done = invoke("flow-run", "retry", "flaky-run", "-e", "some_flows.py:flaky", "-o", "json")
        assert done.returncode == 0, done.stderr
        again = json.loads(done.stdout)
        assert (again["state"]["type"], again["run_count"]) == ("COMPLETED", 2)
        assert len(listed("flow-run", "ls")) == 1

    def test_without_an_entrypoint_it_says_what_to_add(self, two_runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "retry", "bad-run"]) == 1
        assert f"headrace flow-run retry {two_runs['bad']} --entrypoint" in capsys.readouterr().err

    def test_a_name_of_none_or_of_several_runs_is_refused(self, two_runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["flow-run", "retry", "none-such"]) == 4
        assert invoke("run", "some_flows.py:bad").returncode == 1
        capsys.readouterr()
        assert run(["flow-run", "retry", "bad-run"]) == 1
        assert "2 flow runs are named 'bad-run'" in capsys.readouterr().err
