"""Shell commands, run for real."""

from __future__ import annotations

import asyncio
import logging
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from headrace import flow
from headrace_shell import ShellOperation, shell_run_command
from headrace_shell.commands import ShellProcess

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these speak bash")


@pytest.fixture(params=["blocking", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


def run(operation: ShellOperation, mode: str, **options: object) -> list[str]:
    if mode == "blocking":
        return operation.run(**options)
    return asyncio.run(operation.arun(**options))


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie that nobody has collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int) -> bool:
    """Wait for a process that is on its way out: its streams close a moment before it is gone."""
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        os.sched_yield()
    return not is_alive(pid)


# --- the block: run ---------------------------------------------------------------------------------------------------


def test_all_lines_of_standard_output_come_back(mode):
    assert run(ShellOperation(commands=["echo one", "echo", "printf 'two\\nlast'"]), mode) == ["one", "", "two", "last"]


def test_directory_and_variables_carry_over(mode, tmp_path):
    operation = ShellOperation(commands=["cd sub", "name=x", "echo $name $GREETING $PWD"], env={"GREETING": "hi"}, working_dir=tmp_path)
    (tmp_path / "sub").mkdir()
    assert run(operation, mode) == [f"x hi {tmp_path}/sub"]


def test_the_environment_is_inherited(monkeypatch):
    monkeypatch.setenv("OUTER", "yes")
    assert ShellOperation(commands=["echo $OUTER"]).run() == ["yes"]


def test_error_output_is_no_result_and_both_are_logged(mode, caplog):
    caplog.set_level(logging.INFO)
    assert run(ShellOperation(commands=["echo out", "echo err >&2"]), mode) == ["out"]
    texts = [message.partition(" ")[2].partition(" ")[2] for message in messages(caplog) if message.startswith("PID")]
    assert texts[0] == "triggered with 2 commands running inside the '.' directory."
    assert set(texts[1:3]) == {"stream output: out", "stream output: err"}
    assert texts[3] == "completed with return code 0."


def test_nothing_is_streamed_on_demand(caplog):
    caplog.set_level(logging.INFO)
    assert ShellOperation(commands=["echo out"], stream_output=False).run() == ["out"]
    assert not [message for message in messages(caplog) if "stream output" in message]


def test_much_output_on_both_streams_blocks_nothing(mode):
    code = "import sys\nfor n in range(20000):\n print(n)\n print('x' * 80, file=sys.stderr)"
    lines = run(ShellOperation(commands=[f'{sys.executable} -c "{code}"'], stream_output=False), mode)
    assert lines == [str(n) for n in range(20000)]


def test_bytes_that_are_no_text_are_replaced():
    assert ShellOperation(commands=["printf '\\377ok\\n'"]).run() == ["\ufffdok"]


def test_a_failure_names_pid_code_and_the_end_of_error_output(mode):
    with pytest.raises(RuntimeError, match=r"(?s)PID \d+ failed with return code 3.\n.*line 100\ndetails$") as caught:
        run(ShellOperation(commands=["for n in $(seq 100); do echo line $n >&2; done", "echo details >&2", "exit 3"]), mode)
    assert "line 1\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match=r"PID \d+ failed with return code 3.$"):
        run(ShellOperation(commands=["exit 3"]), mode)


def test_a_failure_in_the_middle_is_warned_of(mode, caplog):
    assert run(ShellOperation(commands=["false", "ls /no/such/thing", "echo on", "if false; then :; fi"]), mode) == ["on"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "'false' failed with return code 1, and the commands after it ran all the same" in warnings[0]
    assert "'ls /no/such/thing' failed with return code 2" in warnings[1]


def test_on_error_stop_ends_at_the_first_failure(mode):
    with pytest.raises(RuntimeError, match="return code 4"):
        run(ShellOperation(commands=["(exit 4)", "touch reached"], on_error="stop"), mode)
    assert not Path("reached").exists()


def test_a_construct_may_span_several_commands():
    assert ShellOperation(commands=["if true", "then echo yes", "fi"]).run() == ["yes"]


def test_another_shell_and_extension(mode):
    operation = ShellOperation(commands=["print('snake', __file__)"], shell=sys.executable, extension=".py")
    (line,) = run(operation, mode)
    assert line.startswith("snake")
    assert line.endswith(".py")


def test_a_missing_shell_or_directory_is_explained(mode):
    with pytest.raises(FileNotFoundError, match="The shell 'no-such-shell' is not installed or not on PATH"):
        run(ShellOperation(commands=["echo"], shell="no-such-shell"), mode)
    with pytest.raises(NotADirectoryError, match="working directory 'nowhere' is no folder"):
        run(ShellOperation(commands=["echo"], working_dir="nowhere"), mode)


def test_options_of_popen_can_be_given(tmp_path):
    assert ShellOperation(commands=["pwd", "echo $A"]).run(cwd=tmp_path, env={"A": "b"}) == [str(tmp_path), "b"]


def test_the_script_is_gone_afterwards(mode, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    run(ShellOperation(commands=["test -f $0", "false", "true"]), mode)
    with pytest.raises(FileNotFoundError):
        run(ShellOperation(commands=["echo"], shell="no-such-shell"), mode)
    assert list(folder.iterdir()) == []


def test_a_question_gets_no_answer_instead_of_waiting():
    assert ShellOperation(commands=["read answer || echo none"]).run() == ["none"]


def test_a_background_process_does_not_hold_up_the_result():
    lines = ShellOperation(commands=["sleep 300 & echo $!"]).run()
    assert ends(int(lines[0]))


# --- the block: trigger ---------------------------------------------------------------------------------------------


def test_trigger_runs_beside_us_and_is_waited_for():
    with ShellOperation(commands=["read line < gate", "echo $line"]) as operation:
        os.mkfifo("gate")
        process = operation.trigger()
        assert isinstance(process, ShellProcess)
        assert process.return_code is None
        assert is_alive(process.pid)
        Path("gate").write_text("open\n")
        process.wait_for_completion()
        assert process.return_code == 0
        assert process.fetch_result() == ["open"]
        process.wait_for_completion()


async def _triggered() -> tuple[list[str], int | None]:
    async with ShellOperation(commands=["echo one", "echo two"]) as operation:
        process = await operation.atrigger()
        await process.await_for_completion()
        return await process.afetch_result(), process.return_code


def test_the_async_names_do_the_same():
    assert asyncio.run(_triggered()) == (["one", "two"], 0)


def test_the_blocking_names_can_be_awaited_in_a_loop():
    async def main() -> list[str]:
        return await ShellOperation(commands=["echo awaited"]).run()  # type: ignore[misc]  documented: awaitable in a loop

    assert asyncio.run(main()) == ["awaited"]


def test_waiting_in_a_loop_leaves_the_loop_free():
    async def main() -> list[str]:
        os.mkfifo("gate")
        waiting = asyncio.create_task(ShellOperation(commands=["cat gate"]).arun())
        await asyncio.to_thread(Path("gate").write_text, "from the loop\n")
        return await waiting

    assert asyncio.run(main()) == ["from the loop"]


def test_fetching_early_warns_and_gives_what_there_is(caplog):
    os.mkfifo("gate")
    with ShellOperation(commands=["echo early", "cat gate"]) as operation:
        seen = threading.Event()
        handler = logging.Handler()
        handler.emit = lambda record: seen.set() if "early" in record.getMessage() else None  # type: ignore[method-assign]
        operation.logger.addHandler(handler)
        operation.logger.setLevel(logging.INFO)
        process = operation.trigger()
        assert seen.wait(30)
        assert process.fetch_result() == ["early"]
        operation.logger.removeHandler(handler)
    assert "is still running; the result is what it has written so far" in caplog.text


@pytest.mark.parametrize("how", ["with", "close", "async with"])
def test_leaving_ends_the_whole_process_group(how):
    commands = ["sleep 300 &", "echo $!", "sleep 300"]

    def child_of(process: ShellProcess) -> int:
        while not (lines := process._child.lines):  # the first line tells the id of the grandchild
            process._child._readers[0].join(0.01)
        return int(lines[0])

    if how == "with":
        with ShellOperation(commands=commands) as operation:
            process = operation.trigger()
            child = child_of(process)
    elif how == "close":
        operation = ShellOperation(commands=commands)
        process = operation.trigger()
        child = child_of(process)
        operation.close()
    else:

        async def main() -> tuple[ShellProcess, int]:
            async with ShellOperation(commands=commands) as operation:
                process = await operation.atrigger()
                return process, await asyncio.to_thread(child_of, process)

        process, child = asyncio.run(main())
    assert process.return_code == -signal.SIGTERM
    assert ends(child)


def test_what_ignores_the_request_is_forced(monkeypatch):
    monkeypatch.setattr("headrace_shell.commands._GRACE_SECONDS", 0.2)
    with ShellOperation(commands=["trap '' TERM", "echo ready", "while true; do sleep 0.05; done"]) as operation:
        process = operation.trigger()
        while not process._child.lines:
            process._child._readers[0].join(0.01)
    assert process.return_code == -signal.SIGKILL


def test_cancelling_an_async_run_ends_the_command():
    async def main() -> int:
        os.mkfifo("gate")
        task = asyncio.create_task(ShellOperation(commands=["echo $$ > gate", "sleep 300"]).arun())
        pid = int(await asyncio.to_thread(Path("gate").read_text))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    assert ends(asyncio.run(main()))


# --- the block: stored, and in flows -----------------------------------------------------------------------------------


def test_a_saved_operation_runs_after_loading():
    ShellOperation(commands=["echo saved"]).save("greet")
    assert ShellOperation.load("greet").run() == ["saved"]


def test_a_stored_operation_is_found_without_importing_or_registering_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "shared"))  # both programs are started with it
    monkeypatch.delenv("HEADRACE_API_URL", raising=False)
    save = "from headrace_shell import ShellOperation; ShellOperation(commands=['echo found']).save('greet')"
    load = "from headrace.blocks.core import Block; print(Block.load('shell-operation/greet').run())"
    for code in (save, load):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "['found']\n", done.stderr


def test_an_operation_in_a_flow_logs_with_the_run(caplog):
    caplog.set_level(logging.INFO)

    @flow
    def talk() -> list[str]:
        return ShellOperation(commands=["echo from a flow"]).run()

    assert talk() == ["from a flow"]
    (record,) = [record for record in caplog.records if record.getMessage().endswith("stream output: from a flow")]
    assert record.name == "headrace.flow_runs"


def test_an_operation_in_an_async_flow():
    @flow
    async def talk() -> list[str]:
        return await ShellOperation(commands=["echo from a flow"]).run()  # type: ignore[misc]

    assert asyncio.run(talk()) == ["from a flow"]


# --- the task ---------------------------------------------------------------------------------------------------------


def test_the_task_returns_the_last_line_or_all():
    @flow
    def lines() -> tuple[object, object, object]:
        return (
            shell_run_command("echo one; echo two"),
            shell_run_command("echo one; echo two", return_all=True),
            shell_run_command("true"),
        )

    assert lines() == ("two", ["one", "two"], "")


def test_the_task_takes_helper_environment_directory_shell_and_extension(tmp_path):
    run = shell_run_command.fn
    assert run("hello", helper_command="hello() { echo hi $NAME; }", env={"NAME": "you"}) == "hi you"
    assert run("pwd", cwd=str(tmp_path)) == run("pwd", cwd=os.fsencode(tmp_path)) == str(tmp_path)
    assert run("print(__file__[-3:])", shell=sys.executable, extension=".py") == ".py"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("echo out; echo wrong >&2; exit 2", "Command failed with exit code 2:\nwrong"),
        ("echo first; echo last; exit 3", "Command failed with exit code 3:\nlast"),
        ("exit 4", "Command failed with exit code 4:\n"),
    ],
)
def test_a_failing_command_raises_with_its_error_output(command, text):
    with pytest.raises(RuntimeError) as caught:
        shell_run_command.fn(command)
    assert str(caught.value) == text


def test_the_task_fails_its_run_and_can_be_retried():
    @flow
    def flaky() -> str:
        return shell_run_command.with_options(retries=1)("test -f seen || { touch seen; exit 1; }; echo second")

    assert flaky() == "second"


def test_a_task_that_takes_too_long_ends_its_command():
    run = shell_run_command.with_options(timeout_seconds=0.5)

    @flow
    def slow() -> str:
        return run("echo $$ > pid; sleep 300", return_state=True).name

    assert slow() == "TimedOut"
    assert ends(int(Path("pid").read_text()))


def test_the_task_in_an_async_flow():
    @flow
    async def say() -> object:
        return shell_run_command("echo from an async flow")

    assert asyncio.run(say()) == "from an async flow"


def test_output_is_logged_at_the_level_asked_for(caplog):
    shell_run_command.fn("echo quiet; echo problem >&2", stream_level=logging.ERROR)
    assert {(r.levelno, r.getMessage()) for r in caplog.records if r.getMessage() in ("quiet", "problem")} == {
        (logging.ERROR, "quiet"),
        (logging.ERROR, "problem"),
    }


def test_much_error_output_does_not_block_the_task():
    assert shell_run_command.fn("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo done") == "done"


# --- documentation ----------------------------------------------------------------------------------------------------


def test_the_example_of_the_readme_runs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    code = readme.partition("```python\n")[2].partition("```")[0].replace("curl -O https://example.com/", "echo fetched; pwd")
    Path("example.py").write_text(code)
    lines = runpy.run_path("example.py")["download_data"]()
    assert lines[0] == "fetched"
    assert Path(lines[1]).parent.name == "data"
