"""`headrace config`, run as a process of its own where the statement is about processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headrace.cli.config import group
from headrace.settings import start_with_profile
from headrace.settings.in_force import process
from headrace.settings.profiles import load_profile


def run(*arguments: str, input: str | None = None) -> Result:
    """Run one command as a fresh process would: with settings read anew."""
    process.context = None
    return CliRunner().invoke(group, list(arguments), input=input)


def spawn(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from headrace.cli.config import group; group()", *arguments],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir()
    path = home / "profiles.toml"
    path.write_text('active = "mine"\n\n[profiles.mine]  # kept\nHEADRACE_API_URL = "http://mine/api"\n')
    return path


def test_removing_sources_top_down_reveals_each(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("set", "API_REQUEST_TIMEOUT=5").exit_code == 0
    (tmp_path / "pyproject.toml").write_text("[tool.headrace.api]\nrequest_timeout = 4\n")
    (tmp_path / "headrace.toml").write_text("[api]\nrequest_timeout = 3\n")
    (tmp_path / ".env").write_text("HEADRACE_API_REQUEST_TIMEOUT=2\n")
    monkeypatch.setenv("HEADRACE_API_REQUEST_TIMEOUT", "1")

    def shown() -> tuple[float, str, str | None]:
        result = run("view", "--show-defaults", "-o", "json")
        line = json.loads(result.stdout)["settings"]["HEADRACE_API_REQUEST_TIMEOUT"]
        return line["value"], line["source"], line["where"]

    assert shown() == (1.0, "env", None)
    monkeypatch.delenv("HEADRACE_API_REQUEST_TIMEOUT")
    assert shown() == (2.0, ".env file", str(tmp_path / ".env"))
    (tmp_path / ".env").unlink()
    assert shown() == (3.0, "headrace.toml", str(tmp_path / "headrace.toml"))
    (tmp_path / "headrace.toml").unlink()
    assert shown() == (4.0, "pyproject.toml", str(tmp_path / "pyproject.toml"))
    (tmp_path / "pyproject.toml").unlink()
    assert shown() == (5.0, "profile", "mine")
    assert run("unset", "API_REQUEST_TIMEOUT").exit_code == 0
    assert shown() == (60.0, "defaults", None)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("API_REQUEST_TIMEOUT=abc", "HEADRACE_API_REQUEST_TIMEOUT is 'abc'"),
        ("HEADRACE_API_REQUEST_TIMEOUT=abc", "should be a valid number"),
        ("NO_SUCH=1", "'NO_SUCH' is not a setting."),
        ("API_ULR=1", "Did you mean 'HEADRACE_API_URL'"),
        ("api.ulr=1", "Did you mean 'api.url'"),
        ("HEADRACE_PROFILES_PATH=/x", "HEADRACE_PROFILES_PATH decides where profiles are kept"),
    ],
)
def test_a_refused_change_exits_1_and_leaves_the_file(file: Path, pair: str, message: str) -> None:
    before = file.read_bytes()
    result = run("set", "HEADRACE_API_URL=http://new/api", pair)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""
    assert file.read_bytes() == before


def test_set_without_a_value_sign_is_wrong_usage(file: Path) -> None:
    result = run("set", "HEADRACE_API_URL")
    assert result.exit_code == 2
    assert "should be NAME=VALUE" in result.stderr


def test_set_keeps_comments_and_an_empty_value_removes(file: Path) -> None:
    assert "Set HEADRACE_LOGGING_LEVEL in profile 'mine'." in run("set", "LOGGING_LEVEL=DEBUG").stdout
    assert "# kept" in file.read_text()
    assert "Unset HEADRACE_API_URL" in run("set", "HEADRACE_API_URL=").stdout
    assert tomllib.loads(file.read_text())["profiles"] == {"mine": {"HEADRACE_LOGGING_LEVEL": "DEBUG"}}


def test_the_profile_of_the_command_line_is_the_one_that_changes(file: Path) -> None:
    file.write_text(file.read_text() + "[profiles.other]\n")
    start_with_profile("other")
    assert run("set", "HEADRACE_LOGGING_LEVEL=DEBUG").exit_code == 0
    assert load_profile("other").to_environment_variables() == {"HEADRACE_LOGGING_LEVEL": "DEBUG"}
    assert run("view").stdout.splitlines()[1] == "HEADRACE_PROFILE='other'"


def test_set_warns_when_the_environment_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_API_DATABASE_TIMEOUT", "3")
    result = run("set", "HEADRACE_SERVER_DATABASE_TIMEOUT=4")
    assert result.exit_code == 0
    assert "HEADRACE_API_DATABASE_TIMEOUT in the environment wins" in result.stderr


def test_set_prints_the_profile_as_data_without_secrets(file: Path) -> None:
    result = run("set", "API_KEY=hunter2", "-o", "json")
    assert json.loads(result.stdout) == {
        "name": "mine",
        "settings": {"HEADRACE_API_URL": "http://mine/api", "HEADRACE_API_KEY": "********"},
    }


def test_keys_of_the_logging_configuration_can_be_set(file: Path) -> None:
    assert run("set", "HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL=ERROR").exit_code == 0
    assert "HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL='ERROR' (from profile 'mine')" in run("view").stdout


def test_unset_of_what_is_not_set_is_refused(file: Path) -> None:
    result = run("unset", "HEADRACE_API_KEY")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "HEADRACE_API_KEY is not set in profile 'mine'" in result.stderr


def test_view_is_plain_and_masks_secrets(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_API_KEY", "hunter2")
    shown = run("view").stdout.splitlines()
    assert shown[0] == "Connected to http://mine/api"
    assert "HEADRACE_API_URL='http://mine/api' (from profile 'mine')" in shown
    assert "HEADRACE_API_KEY='********' (from env)" in shown
    assert not [line for line in shown if "HEADRACE_CLI_COLORS" in line]
    assert "HEADRACE_API_KEY='hunter2'" in run("view", "--show-secrets", "--hide-sources").stdout.splitlines()
    assert "HEADRACE_CLI_COLORS='true' (from defaults)" in run("view", "--show-defaults").stdout
    assert {"name": "HEADRACE_API_KEY", "value": "********", "source": "env", "where": None} in [
        json.loads(line) for line in run("view", "-o", "jsonl").stdout.splitlines()
    ]


def test_explain_lists_every_source_and_the_winner(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_API_URL", "http://env/api")
    told = json.loads(run("explain", "api.url", "-o", "json").stdout)
    assert told["value"] == "http://env/api"
    assert [(one["source"], one["text"], one["wins"]) for one in told["sources"]] == [
        ("env", "http://env/api", True),
        ("profile", "http://mine/api", False),
    ]
    text = run("explain", "HEADRACE_API_URL").stdout
    assert "HEADRACE_API_URL='http://env/api' (from env)" in text
    assert "http://mine/api" in text
    unknown = run("explain", "HEADRACE_API_ULR")
    assert unknown.exit_code == 1
    assert "Did you mean 'HEADRACE_API_URL'" in unknown.stderr


def test_validate_reports_unknown_variables_and_renames_old_names(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(file.read_text() + 'HEADRACE_TASK_DEFAULT_RETRIES = "1"\n')
    monkeypatch.setenv("HEADRACE_API_ULR", "x")
    result = run("validate")
    assert result.exit_code == 0
    assert "Renamed HEADRACE_TASK_DEFAULT_RETRIES to HEADRACE_TASKS_DEFAULT_RETRIES" in result.stdout
    assert "Configuration valid!" in result.stdout
    assert "'HEADRACE_API_ULR' is not a setting. Did you mean 'HEADRACE_API_URL'" in result.stderr
    assert "HEADRACE_TASKS_DEFAULT_RETRIES" in file.read_text()


def test_validate_exits_1_for_a_wrong_value(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CLI_COLORS", "perhaps")
    result = run("validate", "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["valid"] is False
    assert "HEADRACE_CLI_COLORS is 'perhaps'" in result.stderr


@pytest.mark.parametrize("arguments", [("view",), ("set", "API_URL=x"), ("unset", "API_URL"), ("validate",), ("explain", "API_URL")])
def test_a_broken_profiles_file_stops_every_command(file: Path, arguments: tuple[str, ...]) -> None:
    file.write_text('active = "mine"\n[profiles.mine]\nHEADRACE_API_URL = http://mine\n')
    before = file.read_bytes()
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {file}:3: ")
    assert file.read_bytes() == before


def test_an_unknown_profile_in_the_environment_stops_the_command(file: Path) -> None:
    command = spawn("view", HEADRACE_PROFILE="mime")
    out, err = command.communicate()
    assert (command.returncode, out) == (1, "")
    assert "Profile 'mime' (named by HEADRACE_PROFILE) does not exist. Did you mean 'mine'" in err


@pytest.mark.scenario
def test_a_hundred_processes_setting_at_once_keep_every_key(file: Path) -> None:
    names = [f"HEADRACE_LOGGING_LOGGERS_{number}_LEVEL" for number in range(100)]
    waiting = list(names)
    running: list[subprocess.Popen[str]] = []
    codes: list[int] = []
    while waiting or running:
        while waiting and len(running) < 20:  # enough to collide, few enough for a small machine
            running.append(spawn("set", f"{waiting.pop()}=ERROR"))
        first = running.pop(0)
        first.communicate()
        codes.append(first.returncode)
    assert codes == [0] * 100
    assert set(names) <= set(load_profile("mine").to_environment_variables())
    assert "# kept" in file.read_text()


def test_importing_the_commands_needs_nothing_heavy() -> None:
    script = (
        "import sys, headrace.cli.config, headrace.cli.profile\nprint([n for n in ('pydantic','rich','yaml','httpx','tomlkit') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"
