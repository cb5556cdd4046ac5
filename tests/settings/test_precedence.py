"""Which source wins, where files are looked for, and what older names do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.model.errors import MissingProfileError
from headrace.settings import Settings, get_current_settings, refresh_global_settings_context
from headrace.settings.errors import BrokenFileError, InvalidSettingError
from headrace.settings.inspection import explain
from headrace.settings.models.api import APISettings


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_profile(home: Path, text: str) -> Path:
    return write(home / "profiles.toml", f'active = "mine"\n\n[profiles.mine]\n{text}\n')


def test_each_source_is_revealed_by_removing_those_above(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(home, 'HEADRACE_API_REQUEST_TIMEOUT = "5"')
    pyproject = write(tmp_path / "pyproject.toml", "[tool.headrace.api]\nrequest_timeout = 4\n")
    toml = write(tmp_path / "headrace.toml", "[api]\nrequest_timeout = 3\n")
    dotenv = write(tmp_path / ".env", "HEADRACE_API_REQUEST_TIMEOUT=2\n")
    monkeypatch.setenv("HEADRACE_API_REQUEST_TIMEOUT", "1")

    def seen() -> tuple[float, str]:
        refresh_global_settings_context()
        return get_current_settings().api.request_timeout, explain("api.request_timeout").line.source

    assert Settings(api={"request_timeout": 0.5}).api.request_timeout == 0.5
    assert [mention.source for mention in explain("HEADRACE_API_REQUEST_TIMEOUT").mentions] == [
        "env",
        ".env file",
        "headrace.toml",
        "pyproject.toml",
        "profile",
    ]
    assert seen() == (1, "env")
    monkeypatch.delenv("HEADRACE_API_REQUEST_TIMEOUT")
    assert seen() == (2, ".env file")
    dotenv.unlink()
    assert seen() == (3, "headrace.toml")
    toml.unlink()
    assert seen() == (4, "pyproject.toml")
    pyproject.unlink()
    assert seen() == (5, "profile")
    (home / "profiles.toml").unlink()
    assert seen() == (60, "defaults")


def test_the_new_name_wins_inside_a_source_and_a_higher_source_wins_with_either(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(home, 'HEADRACE_API_DATABASE_TIMEOUT = "1"\nHEADRACE_SERVER_DATABASE_TIMEOUT = "2"\nHEADRACE_TASK_DEFAULT_RETRIES = "3"')
    assert Settings().server.database.timeout == 2
    assert Settings().tasks.default_retries == 3
    monkeypatch.setenv("HEADRACE_API_DATABASE_TIMEOUT", "7")
    assert Settings().server.database.timeout == 7
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_TIMEOUT", "8")
    assert Settings().server.database.timeout == 8


def test_documented_plugin_names_are_read_from_environment_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_EXPERIMENTS_PLUGINS_ENABLED", "1")
    write(tmp_path / "headrace.toml", "[experiments.plugins]\nallow = ['a', 'b']\n")
    settings = Settings()
    assert settings.plugins.enabled
    assert settings.experiments.plugins.allow == {"a", "b"}


def test_the_nearest_file_up_to_the_root_of_the_repository_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "repository" / "package" / "deep"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    write(tmp_path / "headrace.toml", "debug_mode = true\n")
    write(tmp_path / "repository" / "headrace.toml", "[tasks]\ndefault_retries = 1\n")
    write(tmp_path / "repository" / "pyproject.toml", "[tool.headrace.flows]\ndefault_retries = 2\n")
    write(tmp_path / "repository" / "package" / "pyproject.toml", "[project]\nname = 'headrace-user'\n")
    assert Settings().tasks.default_retries == 0, "outside a repository only the working directory counts"

    (tmp_path / "repository" / ".git").mkdir()
    settings = Settings()
    assert settings.tasks.default_retries == 1
    assert settings.flows.default_retries == 2, "a project file without our table is passed over"
    assert not settings.debug_mode, "nothing above the repository is read"
    write(work / "headrace.toml", "[tasks]\ndefault_retries = 9\n")
    assert Settings().tasks.default_retries == 9


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("HEADRACE_API_URL=http://a/api", "http://a/api"),
        ("export HEADRACE_API_URL = http://a/api  # ours", "http://a/api"),
        ("HEADRACE_API_URL='http://a/#api'", "http://a/#api"),
        ('HEADRACE_API_URL="a\\nb" # two lines', "a\nb"),
        ("HEADRACE_API_URL=http://a/#api", "http://a/#api"),
        ("HEADRACE_API_URL=one\nHEADRACE_API_URL=two", "two"),
        ("HEADRACE_API_URL=\nHEADRACE_CLI_COLORS=false", None),
        ("# HEADRACE_API_URL=no", None),
        ("nonsense\nHEADRACE_API_URL=yes", "yes"),
    ],
)
def test_dotenv_lines(tmp_path: Path, line: str, value: str | None) -> None:
    write(tmp_path / ".env", line)
    assert Settings().api.url == value


def test_an_empty_variable_is_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(home, 'HEADRACE_API_URL = "http://profile/api"')
    monkeypatch.setenv("HEADRACE_API_URL", "")
    assert Settings().api.url == "http://profile/api"


def test_the_active_profile_is_that_of_the_variable_else_of_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(home, 'HEADRACE_API_URL = "http://mine/api"')
    assert Settings().api.url == "http://mine/api"
    monkeypatch.setenv("HEADRACE_PROFILE", "local")
    assert Settings().api.url == "http://127.0.0.1:4200/api"


def test_an_unknown_profile_is_an_error_with_near_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(home, "")
    monkeypatch.setenv("HEADRACE_PROFILE", "mime")
    with pytest.raises(MissingProfileError, match=r"'mime' \(named by HEADRACE_PROFILE\) does not exist.*'mine'"):
        Settings()


def test_a_broken_profiles_file_is_an_error_with_file_and_line(home: Path) -> None:
    path = write_profile(home, "HEADRACE_API_URL = 'http://x/api'\nHEADRACE_CLI_COLORS =")
    with pytest.raises(BrokenFileError) as caught:
        get_current_settings()
    assert str(caught.value).startswith(f"{path}:5: ")


def test_a_flow_is_stopped_by_a_broken_profiles_file_before_anything_happens(home: Path) -> None:
    path = write_profile(home, "= 1")
    script = "import headrace\n@headrace.flow\ndef work():\n    print('ran')\nwork()"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert f"BrokenFileError: {path}:4: " in run.stderr
    assert [file.name for file in home.iterdir()] == ["profiles.toml"]


@pytest.mark.parametrize("name", ["headrace.toml", "pyproject.toml"])
def test_a_broken_project_file_is_an_error_with_file_and_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "[tool.headrace]\nx = 1\ny = = 2\n")
    with pytest.raises(BrokenFileError) as caught:
        Settings()
    assert str(caught.value).startswith(f"{path}:3: ")


def test_a_file_that_is_not_text_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_bytes(b"[api]\nurl = '\xff'\n")
    with pytest.raises(BrokenFileError, match=r"headrace\.toml:2: The file is not UTF-8"):
        Settings()


def test_unknown_names_in_files_warn_with_near_names(home: Path, tmp_path: Path) -> None:
    write(tmp_path / "headrace.toml", "[api]\nulr = 'http://x/api'\n")
    write_profile(home, 'HEADRACE_API_KYE = "1"')
    with pytest.warns(UserWarning, match="is not a setting") as caught:
        Settings()
    texts = " ".join(str(warning.message) for warning in caught)
    assert "'api.ulr' is not a setting. Did you mean 'api.url'" in texts
    assert "'HEADRACE_API_KYE' is not a setting. Did you mean 'HEADRACE_API_KEY'" in texts


def test_a_profile_cannot_move_the_profiles(home: Path) -> None:
    write_profile(home, 'HEADRACE_HOME = "/elsewhere"')
    with pytest.raises(InvalidSettingError, match="HEADRACE_HOME, which decides where profiles are kept"):
        Settings()


def test_test_mode_ignores_profiles(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(home, 'HEADRACE_API_URL = "http://mine/api"')
    monkeypatch.setenv("HEADRACE_TEST_MODE", "true")
    assert Settings().api.url is None


def test_a_group_alone_reads_the_same_sources(home: Path) -> None:
    write_profile(home, 'HEADRACE_API_URL = "http://mine/api"')
    group = APISettings(request_timeout=3)
    assert (group.url, group.request_timeout) == ("http://mine/api", 3)


def test_unknown_arguments_are_refused_with_near_names() -> None:
    with pytest.raises(InvalidSettingError, match=r"'api\.ulr' is not a setting\. Did you mean 'api\.url'"):
        Settings(api={"ulr": "x"})


def test_a_deleted_working_directory_has_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Settings().tasks.default_retries == 0
