"""Changing settings for a while, and which settings are in force where."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from pathlib import Path

import pytest

from headrace.model.errors import MissingProfileError
from headrace.settings import (
    HEADRACE_API_KEY,
    HEADRACE_API_REQUEST_TIMEOUT,
    HEADRACE_API_URL,
    HEADRACE_TASKS_DEFAULT_RETRIES,
    Profile,
    Settings,
    SettingsContext,
    get_current_settings,
    get_settings_context,
    refresh_global_settings_context,
    root_settings_context,
    start_with_profile,
    temporary_settings,
    use_profile,
)
from headrace.settings.errors import InvalidSettingError


def test_the_documented_example_of_temporary_settings() -> None:
    with temporary_settings(updates={HEADRACE_API_URL: "foo"}):
        assert HEADRACE_API_URL.value() == "foo"
        with temporary_settings(set_defaults={HEADRACE_API_URL: "bar"}):
            assert HEADRACE_API_URL.value() == "foo"
        with temporary_settings(restore_defaults={HEADRACE_API_URL}):
            assert HEADRACE_API_URL.value() is None
            with temporary_settings(set_defaults={HEADRACE_API_URL: "bar"}):
                assert HEADRACE_API_URL.value() == "bar"
            assert HEADRACE_API_URL.value() is None
    assert HEADRACE_API_URL.value() is None


def test_keys_may_be_variables_old_names_and_paths() -> None:
    with temporary_settings({"HEADRACE_API_URL": "a", "HEADRACE_TASK_DEFAULT_RETRIES": "3", "logging.level": "ERROR"}) as settings:
        assert (settings.api.url, settings.tasks.default_retries, settings.logging.level) == ("a", 3, "ERROR")
        assert get_current_settings() is settings


def test_wrong_updates_are_refused_and_nothing_changes() -> None:
    with pytest.raises(InvalidSettingError, match="HEADRACE_TASKS_DEFAULT_RETRIES is 'x'"):
        with temporary_settings({HEADRACE_TASKS_DEFAULT_RETRIES: "x"}):
            raise AssertionError
    with pytest.raises(InvalidSettingError, match="Did you mean 'HEADRACE_API_URL'"):
        with temporary_settings({"HEADRACE_API_ULR": "x"}):
            raise AssertionError
    assert get_current_settings().tasks.default_retries == 0


def test_changes_stay_in_their_task_and_follow_a_copied_context_into_a_thread() -> None:
    async def read_within(retries: int, barrier: asyncio.Barrier) -> int:
        with temporary_settings({HEADRACE_TASKS_DEFAULT_RETRIES: retries}):
            await barrier.wait()
            return await asyncio.to_thread(HEADRACE_TASKS_DEFAULT_RETRIES.value)

    async def both() -> list[int]:
        barrier = asyncio.Barrier(2)
        return await asyncio.gather(read_within(1, barrier), read_within(2, barrier))

    assert asyncio.run(both()) == [1, 2]

    seen: list[int] = []
    with temporary_settings({HEADRACE_TASKS_DEFAULT_RETRIES: 5}):
        context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: seen.append(context.run(HEADRACE_TASKS_DEFAULT_RETRIES.value)))
    thread.start()
    thread.join()
    assert seen == [5]


def test_the_process_reads_once_until_it_is_told_to_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_current_settings().tasks.default_retries == 0
    monkeypatch.setenv("HEADRACE_TASKS_DEFAULT_RETRIES", "4")
    assert get_current_settings().tasks.default_retries == 0
    refresh_global_settings_context()
    assert get_current_settings().tasks.default_retries == 4
    assert root_settings_context() is get_settings_context()


@pytest.fixture
def profiles(home: Path) -> None:
    home.mkdir()
    (home / "profiles.toml").write_text(
        'active = "a"\n[profiles.a]\nHEADRACE_API_URL = "http://a/api"\nHEADRACE_TASKS_DEFAULT_RETRIES = "1"\n'
        '[profiles.b]\nHEADRACE_API_URL = "http://b/api"\n'
    )


@pytest.mark.usefixtures("profiles")
def test_a_used_profile_gives_way_to_the_environment_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    with use_profile("b") as context:
        assert context.profile.name == "b"
        assert get_current_settings().api.url == "http://b/api"
        assert get_current_settings().tasks.default_retries == 1, "what it leaves open comes from the settings in force"
    with use_profile("b", include_current_context=False):
        assert get_current_settings().tasks.default_retries == 0
    assert get_current_settings().api.url == "http://a/api"

    monkeypatch.setenv("HEADRACE_API_URL", "http://env/api")
    refresh_global_settings_context()
    with use_profile("b"):
        assert get_current_settings().api.url == "http://env/api"
    with use_profile("b", override_environment_variables=True):
        assert get_current_settings().api.url == "http://b/api"


@pytest.mark.usefixtures("profiles")
def test_a_profile_object_can_be_used() -> None:
    with use_profile(Profile("mine", {"HEADRACE_API_URL": "http://mine/api"})) as context:
        assert HEADRACE_API_URL.value() == "http://mine/api"
        assert SettingsContext.get() is context


@pytest.mark.usefixtures("profiles")
def test_the_profile_of_the_command_line_holds_for_the_process_and_beats_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADRACE_API_URL", "http://env/api")
    start_with_profile("b")
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.append(get_current_settings().api.url))
    thread.start()
    thread.join()
    assert seen == ["http://b/api"]
    with pytest.raises(MissingProfileError, match="Profile 'bb' does not exist"):
        start_with_profile("bb")
    assert get_settings_context().profile.name == "b"


def test_constants_tell_about_their_setting() -> None:
    assert str(HEADRACE_API_URL) == HEADRACE_API_URL.name == "HEADRACE_API_URL"
    assert HEADRACE_API_KEY.is_secret
    assert not HEADRACE_API_URL.is_secret
    assert HEADRACE_API_REQUEST_TIMEOUT.default() == 60
    settings = Settings(api={"key": "hunter2"})
    assert HEADRACE_API_KEY.value_from(settings) == "hunter2"
    assert pickle.loads(pickle.dumps(HEADRACE_API_KEY)) == HEADRACE_API_KEY


def test_constants_have_older_names_and_unknown_ones_list_the_near() -> None:
    from headrace import settings

    assert settings.HEADRACE_TASK_DEFAULT_RETRIES == settings.HEADRACE_TASKS_DEFAULT_RETRIES
    assert settings.legacy.HEADRACE_HOME is settings.HEADRACE_HOME
    with pytest.raises(AttributeError, match=r"There is no setting HEADRACE_API_ULR\. Did you mean 'HEADRACE_API_URL'"):
        _ = settings.HEADRACE_API_ULR


def test_settings_travel_to_another_process() -> None:
    with temporary_settings({HEADRACE_API_KEY: "hunter2"}) as settings:
        copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert HEADRACE_API_KEY.value_from(copy) == "hunter2"


def test_keys_of_the_logging_configuration_are_kept_and_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL", "ERROR")
    settings = get_current_settings()
    assert settings.logging_overrides() == {"LOGGERS_HEADRACE_FLOW_RUNS_LEVEL": "ERROR"}
    passed_on = settings.to_environment_variables(exclude_unset=True)
    assert passed_on["HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL"] == "ERROR"


def test_an_address_that_looks_wrong_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_API_URL", "http://127.0.0.1:4200")
    with pytest.warns(UserWarning, match="does not end in '/api'"):
        get_current_settings()
    monkeypatch.setenv("HEADRACE_SILENCE_API_URL_MISCONFIGURATION", "true")
    refresh_global_settings_context()
    assert get_current_settings().api.url == "http://127.0.0.1:4200"
