"""The profiles file: what it means, and that changing it loses nothing."""

from __future__ import annotations

import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headrace.model.errors import ConfigurationError, MissingProfileError, ProfileSettingsValidationError, StoreError
from headrace.settings import (
    HEADRACE_API_URL,
    HEADRACE_TASKS_DEFAULT_RETRIES,
    Profile,
    ProfilesCollection,
    Settings,
    load_current_profile,
    load_profile,
    load_profiles,
    save_profiles,
    update_current_profile,
)
from headrace.settings.inspection import rename_old_names
from headrace.settings.profiles import rename_profile

FILE = """# our servers
active = "staging"  # until Friday

[profiles.staging]
# behind the proxy
HEADRACE_API_URL = "http://staging/api"  # no TLS
HEADRACE_TASK_DEFAULT_RETRIES = "2"
HEADRACE_INTEGRATIONS_LAKE = "kept"

[profiles.live]
HEADRACE_API_URL = "http://live/api"
"""


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir()
    path = home / "profiles.toml"
    path.write_text(FILE)
    return path


def test_without_a_file_the_built_in_profiles_are_there(home: Path) -> None:
    profiles = load_profiles()
    assert {"ephemeral", "local", "test"} <= profiles.names
    assert profiles.active_name == load_current_profile().name == "ephemeral"
    assert load_profile("local").settings[HEADRACE_API_URL] == "http://127.0.0.1:4200/api"
    assert len(load_profiles(include_defaults=False)) == 0
    assert not home.exists(), "reading makes nothing"


def test_the_file_is_read(file: Path) -> None:
    profiles = load_profiles()
    assert profiles.active_profile == profiles["staging"] == load_current_profile()
    assert profiles["staging"].settings == {
        HEADRACE_API_URL: "http://staging/api",
        HEADRACE_TASKS_DEFAULT_RETRIES: "2",
        "HEADRACE_INTEGRATIONS_LAKE": "kept",
    }
    assert profiles["live"].source == file
    assert profiles["live"].to_environment_variables() == {"HEADRACE_API_URL": "http://live/api"}


def test_a_change_touches_nothing_else_and_turns_the_old_name_into_the_new(file: Path) -> None:
    update_current_profile({HEADRACE_TASKS_DEFAULT_RETRIES: 5, "client.retry_extra_codes": {404}})
    assert file.read_text() == FILE.replace(
        'HEADRACE_TASK_DEFAULT_RETRIES = "2"\nHEADRACE_INTEGRATIONS_LAKE = "kept"\n',
        'HEADRACE_INTEGRATIONS_LAKE = "kept"\nHEADRACE_TASKS_DEFAULT_RETRIES = "5"\nHEADRACE_CLIENT_RETRY_EXTRA_CODES = "[404]"\n',
    )
    assert Settings().client.retry_extra_codes == {404}


def test_none_removes_a_setting_under_any_name(file: Path) -> None:
    update_current_profile({HEADRACE_TASKS_DEFAULT_RETRIES: None})
    assert file.read_text() == FILE.replace('HEADRACE_TASK_DEFAULT_RETRIES = "2"\n', "")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"HEADRACE_TASKS_DEFAULT_RETRIES": "many"}, ProfileSettingsValidationError, "should be a valid integer"),
        ({"HEADRACE_TASKS_DEFAULT_RETRIE": "1"}, ProfileSettingsValidationError, "Did you mean 'HEADRACE_TASKS_DEFAULT_RE"),
        ({"HEADRACE_HOME": "/x"}, ConfigurationError, "HEADRACE_HOME decides where profiles are kept"),
    ],
)
def test_a_wrong_change_leaves_the_file_as_it_was(file: Path, change: dict[str, str], error: type[Exception], message: str) -> None:
    before = file.stat()
    with pytest.raises(error, match=message):
        update_current_profile({HEADRACE_API_URL: "http://new/api", **change})
    assert file.read_text() == FILE
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_the_file_is_made_for_its_owner_alone(home: Path) -> None:
    update_current_profile({HEADRACE_API_URL: "http://x/api"})
    path = home / "profiles.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tomllib.loads(path.read_text()) == {"profiles": {"ephemeral": {"HEADRACE_API_URL": "http://x/api"}}}


def test_a_link_stays_a_link(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    target = tmp_path / "dotfiles.toml"
    target.write_text(FILE)
    (home / "profiles.toml").symlink_to(target)
    update_current_profile({HEADRACE_API_URL: "http://x/api"})
    assert (home / "profiles.toml").is_symlink()
    assert "http://x/api" in target.read_text()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(StoreError, match=r"profiles\.toml: Cannot be written"):
        update_current_profile({HEADRACE_API_URL: "http://x/api"})


def test_saving_a_collection_makes_the_file_hold_it(file: Path) -> None:
    profiles = load_profiles()
    profiles.remove_profile("live")
    profiles.add_profile(Profile("new", {"HEADRACE_API_URL": "http://new/api"}))
    profiles.set_active("new")
    save_profiles(profiles)
    again = load_profiles(include_defaults=False)
    assert again.names == {"staging", "new"}
    assert again.active_name == "new"
    assert 'HEADRACE_INTEGRATIONS_LAKE = "kept"' in file.read_text()
    assert "# until Friday" in file.read_text()


def test_a_first_active_profile_is_written_above_the_tables(file: Path) -> None:
    file.write_text("# head\n[profiles.a]\n")
    profiles = load_profiles()
    profiles.set_active("a")
    save_profiles(profiles)
    assert tomllib.loads(file.read_text()) == {"active": "a", "profiles": {"a": {}}}
    assert "# head" in file.read_text()


def test_a_collection_guards_its_names(file: Path) -> None:
    profiles = load_profiles()
    with pytest.raises(ValueError, match="Profile 'live' exists already"):
        profiles.add_profile(Profile("live"))
    with pytest.raises(MissingProfileError, match=r"Profile 'liev' does not exist\. Did you mean 'live'"):
        profiles.set_active("liev")
    with pytest.raises(MissingProfileError):
        profiles.remove_profile("nope")
    profiles.add_profile(Profile("local", {"HEADRACE_API_URL": "http://other/api"}))
    assert profiles.without_profile_source(file).names == {"ephemeral", "test", "local"}
    assert ProfilesCollection([Profile("a")], active="a").to_dict() == {"active": "a", "profiles": {"a": {}}}


def test_a_profile_tells_its_wrong_settings() -> None:
    profile = Profile("mine", {"HEADRACE_API_REQUEST_TIMEOUT": "abc", "HEADRACE_API_URL": "http://x/api"})
    with pytest.raises(ProfileSettingsValidationError) as caught:
        profile.validate_settings()
    [(setting, message)] = caught.value.errors
    assert setting.name == "HEADRACE_API_REQUEST_TIMEOUT"
    assert "'abc'" in message
    with pytest.raises(ProfileSettingsValidationError, match=r"Not a setting\. Did you mean 'HEADRACE_API_URL'"):
        Profile("mine", {"HEADRACE_API_ULR": "x"})


def test_renaming_keeps_settings_comments_and_activity(file: Path) -> None:
    rename_profile("staging", "test bed")
    assert load_profiles().active_name == "test bed"
    assert load_current_profile().settings[HEADRACE_API_URL] == "http://staging/api"
    assert "# behind the proxy" in file.read_text()
    with pytest.raises(ValueError, match="'live' exists already"):
        rename_profile("test bed", "live")
    with pytest.raises(ConfigurationError, match="built in"):
        rename_profile("local", "mine")


def test_old_names_are_renamed_unless_the_new_one_is_there(file: Path) -> None:
    assert rename_old_names() == [("HEADRACE_TASK_DEFAULT_RETRIES", "HEADRACE_TASKS_DEFAULT_RETRIES")]
    assert Settings().tasks.default_retries == 2
    assert "HEADRACE_TASK_DEFAULT_RETRIES" not in file.read_text()
    assert rename_old_names() == []


def test_logging_keys_can_be_in_a_profile() -> None:
    update_current_profile({"HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL": "ERROR"})
    assert Settings().logging_overrides() == {"LOGGERS_HEADRACE_FLOW_RUNS_LEVEL": "ERROR"}
    update_current_profile({"HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL": None})
    assert Settings().logging_overrides() == {}


def test_processes_that_write_at_once_lose_no_key(home: Path) -> None:
    names = [f"HEADRACE_LOGGING_LOGGERS_{number}_LEVEL" for number in range(60)]
    script = "import sys; from headrace.settings import update_current_profile\nfor name in sys.argv[1:]: update_current_profile({name: 'ERROR'})"
    workers = [subprocess.Popen([sys.executable, "-c", script, *names[index::6]]) for index in range(6)]
    while any(worker.poll() is None for worker in workers):
        load_profiles()  # a reader never meets half a file
    assert [worker.wait() for worker in workers] == [0] * 6
    assert set(load_profile("ephemeral").to_environment_variables()) == set(names)
    assert {path.name for path in home.iterdir()} == {"profiles.toml", "profiles.toml.lock"}
