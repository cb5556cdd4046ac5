"""The command line as a whole: every command's help, what wrong usage and errors exit with, what help imports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from headrace.cli.root import root, run
from headrace.cli.table import ALIASES, COMMANDS
from headrace.settings import get_current_settings

HEAVY = ("pydantic", "sqlalchemy", "rich", "yaml", "httpx", "fastapi", "asyncio")


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Return every command of the tree with the words that lead to it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, (*path, name)
            yield from walk(child, (*path, name))


TREE = [pytest.param(path, command, id=" ".join(path) or "headrace") for path, command in walk(root)]


def spawn(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headrace.cli.main", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("path", "command"), TREE)
def test_help_names_every_argument_and_option(path: tuple[str, ...], command: click.Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Usage: headrace" in told
    if isinstance(command, click.Group):
        assert not [line for line in told.splitlines()[1:] if line.endswith("...")]  # no summary is cut
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            assert (parameter.metavar or (parameter.name or "").upper()) in told
        elif isinstance(parameter, click.Option) and not parameter.hidden:
            assert max(parameter.opts, key=len) in told


@pytest.mark.parametrize(("path", "command"), TREE)
def test_an_unknown_option_exits_2_with_a_suggestion(path: tuple[str, ...], command: click.Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--hepl"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert re.match(r"Error: No such option:? '?--hepl'?", told.err)
    assert "--help" in told.err.splitlines()[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_the_table_leads_to_a_command_of_that_name(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.name == name


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_is_the_command(alias: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.get_command(click.Context(root), alias) is root.get_command(click.Context(root), name)


def test_every_command_is_in_the_docs_with_its_options() -> None:
    lines = (Path(__file__).parents[2] / "core" / "docs" / "cli.md").read_text().splitlines()
    told: list[click.Command] = []
    for path, command in walk(root):
        if isinstance(command, click.Group) or any(command is one for one in told):
            continue  # a command of two names is told once
        told.append(command)
        line = next((line for line in lines if re.match(rf"(\| )?`{re.escape(' '.join(path))}[ `]", line)), None)
        assert line is not None, path
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert [option.opts for option in options if max(option.opts, key=len) not in line] == [], path


def test_help_imports_no_command_and_nothing_heavy(home: Path) -> None:
    code = (
        "import sys\nfrom headrace.cli.root import run\nfrom headrace.cli.table import COMMANDS\nrun(['--help'])\n"
        "listed = [name for name in sys.modules if name in {f'headrace.cli.{c.target.partition(\":\")[0]}' for c in COMMANDS.values()}]\n"
        "for name in COMMANDS: run([name, '--help'])\n"
        f"print([listed, [name for name in {HEAVY!r} if name in sys.modules]], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[[], []]\n"


def test_the_version_needs_no_click() -> None:
    code = "import sys\nfrom headrace.cli.main import main\nmain(['--version'])\nprint('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\nFalse\n", done.stdout)


def test_the_version_is_printed_among_other_options_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--debug", "-v"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("arguments", "suggested"),
        [(["flw"], "'flow'"), (["flow-runs", "lst"], "'ls'"), (["config", "veiw"], "'view'"), (["profil"], "'profile'")],
    )
    def test_an_unknown_command_lists_near_ones(self, arguments: list[str], suggested: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(arguments) == 2
        told = capsys.readouterr().err.splitlines()
        assert f"No such command {arguments[-1]!r}. Did you mean" in told[0]
        assert suggested in told[0]
        assert told[1].startswith("Hint: ")

    def test_no_command_shows_the_help(self) -> None:
        done = spawn()
        assert done.returncode == 2
        assert "Commands:" in done.stderr + done.stdout

    def test_an_unknown_profile_is_refused_in_one_line(self) -> None:
        done = spawn("-p", "nope", "version")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: Profile 'nope' does not exist.")
        assert "Traceback" not in done.stderr


class TestRootOptions:
    def test_a_profile_before_the_command_beats_the_environment(self, home: Path) -> None:
        home.mkdir()
        (home / "profiles.toml").write_text('[profiles.far]\nHEADRACE_API_URL = "http://far.example/api"\n')
        done = spawn("-p", "far", "version", "-o", "json", env={**os.environ, "HEADRACE_API_URL": "http://near.example/api"})
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["server"] == {"type": "server", "url": "http://far.example/api"}

    def test_a_prompt_can_be_forced(self) -> None:
        assert spawn("variable", "set", "x", "1").returncode == 0
        refused = spawn("variable", "delete", "x")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--yes" in refused.stderr
        asked = spawn("--prompt", "variable", "delete", "x")
        assert asked.returncode == 1  # asked, and stdin ended before an answer
        assert "Delete variable 'x'?" in asked.stdout + asked.stderr
        assert spawn("variable", "get", "x").stdout == "1\n"
        assert spawn("--no-prompt", "variable", "delete", "x", "--yes").returncode == 0
        assert spawn("variable", "get", "x").returncode == 4

    def test_debug_shows_the_traceback(self) -> None:
        plain = spawn("flow-run", "inspect", "00000000-0000-0000-0000-000000000001")
        assert (plain.returncode, plain.stdout) == (4, "")
        assert "Traceback" not in plain.stderr
        full = spawn("--debug", "flow-run", "inspect", "00000000-0000-0000-0000-000000000001")
        assert full.returncode == 4
        assert "Traceback" in full.stderr


class TestFaults:
    def test_a_home_that_cannot_be_used_is_told_without_a_traceback(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        done = spawn("flow-run", "ls", env={**os.environ, "HEADRACE_HOME": str(tmp_path / "file")})
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr

    def test_a_broken_profiles_file_stops_every_command(self, home: Path) -> None:
        home.mkdir()
        (home / "profiles.toml").write_text("active = [")
        done = spawn("flow-run", "ls")
        assert (done.returncode, done.stdout) == (1, "")
        assert "profiles.toml" in done.stderr
        assert "Traceback" not in done.stderr


class TestVersion:
    def test_it_tells_what_it_stands_on(self) -> None:
        done = spawn("version")
        assert done.returncode == 0
        for word in ("Version:", "Python:", "Profile:", "embedded", "Pydantic:", "Integrations:"):
            assert word in done.stdout
        assert "Integrations:" not in spawn("version", "--omit-integrations").stdout

    def test_the_data_has_the_same(self) -> None:
        data = json.loads(spawn("version", "-o", "json").stdout)
        assert data["python"] == sys.version.split()[0]
        assert data["server"]["type"] == "embedded"

    def test_it_names_the_database_that_runs_are_kept_in_without_heavy_imports(self) -> None:
        code = "import sys\nfrom headrace.cli.root import run\nrun(['version', '-o', 'json'])\n"
        code += f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr == "[]\n"
        assert json.loads(done.stdout)["server"]["database"] == get_current_settings().server.database.connection_url.get_secret_value()

    def test_the_password_of_the_database_is_masked(self) -> None:
        address = "postgresql+psycopg://someone:sesame@db.example:5432/runs"
        done = spawn("version", env={**os.environ, "HEADRACE_SERVER_DATABASE_CONNECTION_URL": address})
        assert "someone:********@db.example:5432/runs" in done.stdout
        assert "sesame" not in done.stdout + done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_HEADRACE_COMPLETE" in capsys.readouterr().out


def test_the_shell_is_offered_commands() -> None:
    done = spawn(env={**os.environ, "_HEADRACE_COMPLETE": "bash_complete", "COMP_WORDS": "headrace flow-r", "COMP_CWORD": "1"})
    assert "plain,flow-run" in done.stdout


def test_an_interrupt_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "from threading import Event\nfrom headrace import flow\n@flow\ndef slow():\n    print('ready', flush=True)\n    Event().wait(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli.main", "run", "slow.py:slow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert spawn("flow-run", "ls", "--state", "crashed", "-o", "name").stdout != ""


def test_the_documented_older_path_of_diagnose_works() -> None:
    ended = spawn("experimental", "plugins", "diagnose")

    assert ended.returncode == 0
    assert "nabled" in ended.stdout


@pytest.mark.parametrize(("command", "ran"), [(["flow", "ls"], True), (["flow", "ls", "--help"], False), (["config", "view"], False)])
def test_startup_hooks_run_before_commands_that_do_something(tmp_path: Path, command: list[str], ran: bool) -> None:
    package = tmp_path / "headrace_marker"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(
        "import pathlib\nfrom headrace.plugins import register_hook\n\n@register_hook\ndef setup_environment(*, ctx):\n"
        f"    pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    )
    info = tmp_path / "headrace_marker-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: headrace-marker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.plugins]\nmarker = headrace_marker.plugin\n")

    ended = spawn(*command, env={**os.environ, "PYTHONPATH": str(tmp_path), "HEADRACE_PLUGINS_ENABLED": "1"})

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "ran").exists() is ran


@pytest.mark.parametrize(
    "words",
    [
        ["flow", "ls"],
        ["block", "ls"],
        ["work-queue", "ls"],
        ["work-pool", "create", "p", "--type", "process"],
        ["deploy", "flows.py:etl", "-n", "a", "-p", "p"],
        ["sdk", "generate", "-o", "f.py"],
        ["api", "GET", "/flows/x"],
        ["event", "emit", "order.shipped", "--resource-id", "order.1"],
    ],
)
def test_server_that_is_not_there_has_an_exit_status_of_its_own(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text("from headrace import flow\n\n@flow\ndef etl(): ...\n")
    environment = {**os.environ, "HEADRACE_API_URL": "http://127.0.0.1:9/api"}
    done = subprocess.run([sys.executable, "-m", "headrace", *words], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=30)
    assert (done.returncode, done.stdout) == (7, "")
    told = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert len(told) == 1 and "http://127.0.0.1:9/api cannot be reached" in told[0]
    assert "Traceback" not in done.stderr
