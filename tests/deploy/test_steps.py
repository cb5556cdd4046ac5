"""Steps: how they are found, filled in, run one after the other, and what the built-in ones do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace import flow
from headrace.blocks.system import Secret
from headrace.client.orchestration import get_client
from headrace.deployments.steps import (
    pip_install_requirements,
    pull_from_remote_storage,
    pull_with_block,
    run_shell_script,
    run_step,
    run_steps,
    set_working_directory,
)
from headrace.deployments.steps.core import StepExecutionError
from headrace.events.filters import EventFilter, EventNameFilter
from headrace.filesystems import LocalFileSystem
from headrace.variables import Variable

MODULE = """
async def later(**given):
    return given

def give(**given):
    return given

def nothing():
    return None

def fail(**given):
    raise KeyError("broken")
"""


@pytest.fixture(autouse=True)
def own_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_steps.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("own_steps", None)


@pytest.mark.parametrize(
    "name", ["headrace.deployments.steps.run_shell_script", "prefect.deployments.steps.run_shell_script", "run_shell_script",
             "prefect.deployments.steps.utility.run_shell_script"],
)  # fmt: skip
def test_built_in_steps_are_found_by_every_name(name: str) -> None:
    assert run_step({name: {"script": "echo hello", "stream_output": False}}) == {"stdout": "hello", "stderr": ""}


@pytest.mark.parametrize("name", ["give", "later"])
def test_inputs_are_filled_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Secret(value="hush {{ $PLACE }}").save("tok")
    Variable.set("n", 3)
    monkeypatch.setenv("PLACE", "here")
    inputs = {
        "id": "unused",
        "output": "{{ before.value }}",
        "text": "<{{ before.value.x }}>",
        "block": "{{ prefect.blocks.secret.tok }}",
        "variable": "{{ headrace.variables.n }}",
        "environment": "{{ $PLACE }}",
        "unknown": "{{ nope }}",
    }
    assert run_step({f"own_steps.{name}": inputs}, {"before": {"value": {"x": 1}}}) == {
        "output": {"x": 1},
        "text": "<1>",
        "block": "hush {{ $PLACE }}",
        "variable": 3,
        "environment": "here",
    }


def test_steps_can_be_awaited() -> None:
    async def both() -> Any:
        first = await run_step({"own_steps.later": {"a": 1}})  # type: ignore[misc]  # an awaitable inside a loop
        return first, await run_steps([{"own_steps.give": {"b": 2}}], print_function=None)  # type: ignore[misc]  # the same

    assert asyncio.run(both()) == ({"a": 1}, {"b": 2})


def test_outputs_stand_by_themselves_and_below_their_id(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        {"own_steps.give": {"id": "g", "a": 1, "b": 1}},
        {"own_steps.nothing": None},
        {"own_steps.give": {"id": "h", "a": "{{ g.a }}", "b": 2, "c": "{{ b }}"}},
    ]
    assert run_steps(steps, {"was": 0}) == {"was": 0, "g": {"a": 1, "b": 1}, "h": {"a": 1, "b": 2, "c": 1}, "a": 1, "b": 2, "c": 1}
    assert "own_steps.nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"a.b": {}, "c.d": {}}, "exactly one key.*a.b, c.d"),
        ({}, "exactly one key"),
        ("a.b", "exactly one key"),
        ({"a.b": [1]}, "mapping of names to values"),
    ],
)
def test_what_is_no_step_is_refused(step: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_step(step)


def test_failing_step_ends_the_rest() -> None:
    steps: list[dict[str, Any]] = [{"own_steps.fail": {}}, {"run_shell_script": {"script": "touch after"}}]
    with pytest.raises(StepExecutionError, match="Encountered error while running own_steps.fail: KeyError") as caught:
        run_steps(steps, print_function=None)
    assert isinstance(caught.value.__cause__, KeyError)
    assert not Path("after").exists()


def test_unknown_step_names_the_near_one() -> None:
    with pytest.raises(ImportError, match=r"headrace.deployments.steps.git_clon .*git_clone"):
        run_step({"prefect.deployments.steps.git_clon": {}})


def test_step_of_a_missing_package_says_what_brings_it() -> None:
    with pytest.raises(ImportError, match="No module named 'no_such_package'"):
        run_step({"no_such_package.steps.build": {}})


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_what_a_step_requires_is_installed(installer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """With an installer of our own in the place of the real ones: what it is told is seen, and the module it brings is imported."""
    installed, tools = tmp_path / "installed", tmp_path / "tools"
    for folder in (installed, tools / "pip"):
        folder.mkdir(parents=True)
    program = f"import sys, pathlib\npathlib.Path({str(tmp_path / 'told')!r}).write_text(' '.join(sys.argv[1:]))\n"
    program += f"pathlib.Path({str(installed / f'brought_by_{installer}.py')!r}).write_text('def give(): return {{1: 2}}')\n"
    if installer == "pip":
        (tools / "pip" / "__init__.py").write_text("")
        (tools / "pip" / "__main__.py").write_text(program)
        monkeypatch.syspath_prepend(tools)
        monkeypatch.setenv("PYTHONPATH", str(tools))
    else:
        (tools / "uv").write_text(f"#!{sys.executable}\n{program}")
        (tools / "uv").chmod(0o755)
        monkeypatch.setitem(sys.modules, "pip", None)  # an installation without pip
        monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(installed)
    assert run_step({f"brought_by_{installer}.give": {"requires": "prefect-docker>=0.1"}}) == {1: 2}
    words = (tmp_path / "told").read_text().split()
    assert words[-1] == "headrace-docker>=0.1"
    assert words[: words.index("install") + 1] == (["install"] if installer == "pip" else ["pip", "install"])
    assert "headrace-docker>=0.1" in caplog.text


def test_requirement_that_is_an_option_is_refused() -> None:
    with pytest.raises(ValueError, match="names no package"):
        run_step({"no_such_package.step": {"requires": "--editable=http://evil.example"}})


def test_events_tell_how_pull_steps_ended() -> None:
    @flow
    def empty() -> None: ...

    Secret(value="hush").save("tok")
    state = empty(return_state=True)
    client = get_client(sync_client=True)
    run = client.read_flow_run(state.state_details.flow_run_id)
    steps: list[dict[str, Any]] = [
        {"own_steps.give": {"id": "g", "token": "{{ prefect.blocks.secret.tok }}", "password": "written out", "url": "https://u:pw@host/x"}},
        {"own_steps.fail": {}},
    ]
    with pytest.raises(StepExecutionError):
        run_steps(steps, flow_run=run, print_function=None)
    page = client.read_events(EventFilter(event=EventNameFilter(prefix=["prefect.flow-run.pull-step."])))
    told = {event.event.rpartition(".")[2]: event for event in page.events}
    assert set(told) == {"executed", "failed"}
    assert told["executed"].resource.id == f"prefect.flow-run.{run.id}"
    assert told["executed"].payload["qualified_name"] == "own_steps.give"
    assert told["executed"].payload["inputs"] == {
        "token": "{{ prefect.blocks.secret.tok }}",
        "password": "********",
        "url": "https://********@host/x",
    }


# --- scripts


def test_each_line_is_a_command() -> None:
    done = run_shell_script("echo one\n\n# a remark\necho 'two words' | cat", stream_output=False)
    assert done == {"stdout": "one\ntwo words | cat", "stderr": ""}


def test_shell_runs_the_whole_script(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    done = run_shell_script("cd below\nX=1\necho $X $(basename $PWD) | tr 'a-z' 'A-Z'\necho oops >&2", shell=True, stream_output=False)
    assert done == {"stdout": "1 BELOW", "stderr": "oops"}


@pytest.mark.parametrize("shell", [False, True])
def test_failing_command_ends_the_script(shell: bool) -> None:
    with pytest.raises(RuntimeError, match="exit code 3.*oh no"):
        run_shell_script("sh -c 'echo oh no >&2; exit 3'\ntouch after", shell=shell, stream_output=False)
    assert not Path("after").exists()


def test_variables_are_put_in_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "two words; $(touch pwned)")
    script = "printf '%s|' $INNER ${OUTER} $NONE"
    given = {"env": {"INNER": "in"}, "stream_output": False}
    assert run_shell_script(script, **given)["stdout"] == "in|${OUTER}|$NONE|"
    assert run_shell_script(script, expand_env_vars=True, **given)["stdout"] == "in|two words; $(touch pwned)|$NONE|"
    assert not Path("pwned").exists()


def test_output_is_shown_while_it_runs(capfd: pytest.CaptureFixture[str]) -> None:
    run_shell_script("sh -c 'echo shown; echo wrong >&2'")
    assert capfd.readouterr() == ("shown\n", "wrong\n")
    run_shell_script("echo hidden", stream_output=False)
    assert capfd.readouterr() == ("", "")


def test_much_output_on_both_sides_is_kept() -> None:
    code = "import sys; sys.stderr.write('e' * 300000); sys.stdout.write('o' * 300000)"
    done = run_shell_script(f'{sys.executable} -c "{code}"', stream_output=False)
    assert (len(done["stdout"]), len(done["stderr"])) == (300000, 300000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"script": "no-such-program-here"}, "'no-such-program-here' cannot be run.*shell: true"),
        ({"script": "echo 'open"}, "Line 1 of the script cannot be read"),
        ({"script": "true", "directory": "nowhere"}, "no such directory"),
    ],
)
def test_script_that_cannot_run_is_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        run_shell_script(**arguments)


def test_requirements_file_must_be_there() -> None:
    with pytest.raises(FileNotFoundError, match=r"requirements\.txt"):
        pip_install_requirements()


def test_failing_installation_is_told(tmp_path: Path) -> None:
    (tmp_path / "needs.txt").write_text("./no-such-folder-to-install\n")
    with pytest.raises(subprocess.CalledProcessError):
        pip_install_requirements(requirements_file="needs.txt", stream_output=False)


def test_working_directory_is_changed(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    assert set_working_directory("below") == {"directory": str(tmp_path / "below")}
    assert Path.cwd() == tmp_path / "below"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        set_working_directory("nowhere")


def test_code_is_copied_from_any_storage(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe({"/bucket/project/flows.py": b"x = 1", "/bucket/project/deep/more.py": b"y = 2"})
    try:
        folder = Path(pull_from_remote_storage("memory://bucket/project")["directory"])
        assert folder == tmp_path / "bucket-project"
        assert ((folder / "flows.py").read_text(), (folder / "deep" / "more.py").read_text()) == ("x = 1", "y = 2")
        with pytest.raises(RuntimeError, match="no folder at memory://bucket/nothing"):
            pull_from_remote_storage("memory://bucket/nothing")
    finally:
        memory.rm("/bucket", recursive=True)


def test_code_is_copied_by_a_block(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "flows.py").write_text("x = 1")
    LocalFileSystem(basepath=str(tmp_path / "code")).save("project")
    folder = Path(pull_with_block("project", "local-file-system")["directory"])
    assert (folder / "flows.py").read_text() == "x = 1"
    Secret(value="x").save("no-storage")
    with pytest.raises(ValueError, match="secret/no-storage cannot bring code"):
        pull_with_block("no-storage", "secret")
