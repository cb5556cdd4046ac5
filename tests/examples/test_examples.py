"""Each example, run as its reader runs it: as a program, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.testing.server import server_process

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "core" / "examples"
LIMIT_SECONDS = 120


def run(*words: str | Path) -> str:
    """Run a program with this interpreter, and return what it printed; the test fails if it fails."""
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=LIMIT_SECONDS, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def command_line(*words: str) -> str:
    return run("-m", "headrace", *words)


CASES = {
    "hello.py": ["Hello, Ada!", "Hello, Grace!", "Finished in state Completed()"],
    "async_flow.py": ["life: 42; the universe: 42; everything: 42"],
    "retries.py": ["Retry 2/4", "Read: ready at last"],
    "secrets_in_blocks.py": ["sent 'all is well' to ada@example.com", "**********"],
    "concurrency_limit.py": ["8 queries, at most 2 at once"],
    "plugin_block.py": ["3 lines: one two three"],
}
WITH_TESTS_OF_THEIR_OWN = {"approval.py", "background_tasks.py", "serving.py", "weather_etl.py", "weather_service.py"}


@pytest.mark.parametrize("name", CASES)
def test_example_prints(name: str) -> None:
    printed = run(EXAMPLES / name)
    for expected in CASES[name]:
        assert expected in printed
    runs = json.loads(command_line("flow-run", "ls", "--output", "json"))
    assert [one["state_name"] for one in runs] == ["Completed"]


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == CASES.keys() | WITH_TESTS_OF_THEIR_OWN


def test_a_secret_is_not_in_the_database_or_the_log(home: Path) -> None:
    printed = run(EXAMPLES / "secrets_in_blocks.py")
    assert "correct horse" not in printed
    assert [file.name for file in home.rglob("*") if file.is_file() and b"correct horse" in file.read_bytes()] == []


def test_a_paused_run_goes_on_with_the_answer_of_another_process() -> None:
    words = [sys.executable, "-u", str(EXAMPLES / "approval.py")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as paused:
        assert paused.stdout is not None
        try:
            printed = ""
            while "Pausing flow" not in printed:
                line = paused.stdout.readline()
                assert line, printed
                printed += line
            found = re.search(r"Approve the run ([0-9a-f-]{36})", printed)
            assert found is not None
            run(EXAMPLES / "approval.py", found[1], "--amount", "50")
            rest, _ = paused.communicate(timeout=LIMIT_SECONDS)
        finally:
            paused.kill()
    assert "Grace approved 50, so we spend 50" in rest
    assert paused.returncode == 0


# --- those that need a server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    with server_process() as running:
        monkeypatch.setenv("HEADRACE_API_URL", running.url)
        yield


@contextmanager
def running(*words: str | Path, until: str, cwd: Path | None = None) -> Generator[list[str], None, None]:
    """Run a program beside the test from the line that has `until` in it, and end it with Ctrl-C; gives the lines it prints."""
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-u", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, start_new_session=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout
        is_there = threading.Event()

        def read() -> None:
            for line in output:
                lines.append(line)
                if until in line:
                    is_there.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            assert is_there.wait(LIMIT_SECONDS), lines
            yield lines
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT_SECONDS) == 0, lines
            reader.join()
        finally:
            process.kill()


@pytest.mark.usefixtures("server")
def test_a_served_deployment_runs_by_its_schedule_and_when_it_is_asked_to() -> None:
    with running(EXAMPLES / "serving.py", until="5 visitors at the south door") as lines:
        assert "ended in the state Completed" in run(EXAMPLES / "serving.py", "--seconds", "60")
    assert "4 visitors at the main door" in "".join(lines)
    (deployment,) = json.loads(command_line("deployment", "ls", "-o", "json"))
    assert {one["slug"]: one["parameters"] for one in deployment["schedules"]} == {"mornings": {}, "south": {"door": "south"}}
    assert deployment["paused"] is True


@pytest.mark.usefixtures("server")
def test_a_project_is_deployed_to_a_pool_and_run_by_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL", "machines")
    monkeypatch.chdir(EXAMPLES / "project")
    command_line("work-pool", "create", "machines", "--type", "process")
    plan = command_line("plan", "--all")
    assert "2 to create, 0 to change, 0 as they are." in plan
    command_line("deploy", "--all")
    with running("-m", "headrace", "worker", "start", "--pool", "machines", until="started!") as lines:
        command_line("deployment", "run", "import-orders/nightly", "--watch")
        command_line("deployment", "run", "import-orders/by-hand", "--watch", "-p", "day=monday")
    assert "orders of yesterday for production" in "".join(lines)
    assert "orders of monday for nobody" in "".join(lines)


@pytest.mark.usefixtures("server")
def test_tasks_run_in_another_process() -> None:
    with running(EXAMPLES / "background_tasks.py", "worker", until="serves write_letter") as lines:
        assert "Dear Ada / Dear Grace" in run(EXAMPLES / "background_tasks.py", "ada", "grace")
    assert "writing to ada" in "".join(lines)


def test_the_weather_pipeline_retries_rolls_back_and_caches(tmp_path: Path) -> None:
    printed = run(EXAMPLES / "weather_etl.py", "--output", tmp_path / "report")
    assert "Summarised 210 weeks" in printed
    assert printed.count("Rolled back: weeks.csv is removed") == 2
    assert "4 times '503, try again' and 4 times with data" in printed
    assert len((tmp_path / "report" / "weeks.csv").read_text().splitlines()) == 1 + 208

    runs = json.loads(command_line("flow-run", "ls", "--output", "json"))
    assert [one["state_name"] for one in runs] == ["Completed"] * 4
    second = max(one["id"] for one in runs if one["parent_task_run_id"] is None)
    task_runs = json.loads(command_line("task-run", "ls", "--limit", "200", "--output", "json"))
    of_second = [one for one in task_runs if one["flow_run_id"] == second]
    assert {one["state_name"] for one in of_second if one["name"].startswith("summarize-")} == {"Cached"}
    assert {one["state_name"] for one in of_second if one["name"].startswith("check_report-")} == {"Completed", "Failed"}
    artifacts = json.loads(command_line("artifact", "ls", "--output", "json"))
    assert {(one["key"], one["type"]) for one in artifacts} == {("weather-report", "markdown"), ("extreme-weeks", "table")}


@pytest.mark.parametrize("page", ["README.md", "core/README.md"])
def test_the_first_example_of_a_readme_runs(page: str, tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert code is not None
    program = tmp_path / "observe.py"
    program.write_text(code[1])
    printed = run(program)
    assert printed.count("does not answer - Retry 1/3") == 2
    assert "2 stations answered" in printed
