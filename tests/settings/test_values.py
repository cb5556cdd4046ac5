"""How text becomes a value, what is refused and in which words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from headrace.settings import Settings
from headrace.settings.declaration import walk
from headrace.settings.errors import InvalidSettingError
from headrace.settings.load import core_catalogue
from headrace.settings.values import parse, to_text


def value_of(settings: Settings, path: str) -> object:
    return settings.state.value(core_catalogue().by_path[path])


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("debug_mode", "1", True),
        ("debug_mode", "off", False),
        ("api.request_timeout", "2.5", 2.5),
        ("cli.prompt", "none", None),
        ("cli.prompt", "yes", True),
        ("flows.heartbeat_frequency", "none", None),
        ("api.url", "none", "none"),
        ("client.retry_extra_codes", "404, 429", {404, 429}),
        ("client.retry_extra_codes", "[404, 429]", {404, 429}),
        ("client.retry_extra_codes", "404", {404}),
        ("client.custom_headers", '{"X-A": "1"}', {"X-A": "1"}),
        ("plugins.allow", "a,b", {"a", "b"}),
        ("plugins.allow", '["a", "b"]', {"a", "b"}),
        ("tasks.default_retry_delay_seconds", "10", 10),
        ("tasks.default_retry_delay_seconds", "0.5", 0.5),
        ("tasks.default_retry_delay_seconds", "1, 2.5", [1, 2.5]),
        ("logging.level", "debug", "DEBUG"),
        ("logging.extra_loggers", "a,b", ["a", "b"]),
        ("server.events.retention_period", "3600", timedelta(hours=1)),
        ("server.events.retention_period", "2d", timedelta(days=2)),
        ("server.events.retention_period", "P7D", timedelta(days=7)),
        ("server.events.retention_period", "01:30:00", timedelta(hours=1, minutes=30)),
        ("server.services.db_vacuum.enabled", "events,flow_runs", {"events", "flow_runs"}),
        ("server.services.db_vacuum.enabled", "flow_runs", {"flow_runs"}),
        ("server.services.db_vacuum.enabled", "true", True),
        (
            "server.services.db_vacuum.event_retention_overrides",
            '{"a": 60, "b": "2d"}',
            {"a": timedelta(minutes=1), "b": timedelta(days=2)},
        ),
        ("server.database.port", "5432", 5432),
        ("api.key", "secret", SecretStr("secret")),
        ("api.key", "none", SecretStr("none")),
        ("results.local_storage_path", "/data", Path("/data")),
    ],
)
def test_text_of_the_environment(monkeypatch: pytest.MonkeyPatch, path: str, text: str, value: object) -> None:
    monkeypatch.setenv(core_catalogue().by_path[path].variable, text)
    settings = Settings()
    assert value_of(settings, path) == value
    assert type(value_of(settings, path)) is type(value)


def test_a_table_of_a_file_is_the_value_of_a_setting(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text("[client.custom_headers]\nX-A = 'b'\n[client]\nretry_extra_codes = [500]\n")
    settings = Settings()
    assert settings.client.custom_headers == {"X-A": "b"}
    assert settings.client.retry_extra_codes == {500}


@pytest.mark.parametrize(
    ("variable", "text", "rule"),
    [
        ("HEADRACE_API_REQUEST_TIMEOUT", "abc", "should be a valid number"),
        ("HEADRACE_CLIENT_MAX_RETRIES", "-1", "should be at least 0"),
        ("HEADRACE_FLOWS_HEARTBEAT_FREQUENCY", "29", "should be at least 30"),
        ("HEADRACE_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION", "4000", "should be at most 3600"),
        ("HEADRACE_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD", "60", "should be at least 3600 seconds"),
        ("HEADRACE_LOGGING_LEVEL", "LOUD", "should be 'DEBUG', 'INFO'"),
        ("HEADRACE_CLIENT_CUSTOM_HEADERS", "{x", "should be valid JSON"),
        ("HEADRACE_DEBUG_MODE", "perhaps", "should be a valid boolean"),
    ],
)
def test_a_wrong_value_names_variable_value_rule_and_source(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, rule: str) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(InvalidSettingError) as caught:
        Settings()
    message = str(caught.value)
    assert message.startswith(f"{variable} is {text!r} (from the environment), but it {rule}")


def test_all_wrong_values_are_told_at_once_with_their_files(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text("[api]\nrequest_timeout = 'abc'\n[client]\nmax_retries = 'x'\n")
    with pytest.raises(InvalidSettingError) as caught:
        Settings()
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"api.request_timeout (HEADRACE_API_REQUEST_TIMEOUT) is 'abc' (from {tmp_path}/headrace.toml)")
    assert second.startswith("client.max_retries (HEADRACE_CLIENT_MAX_RETRIES) is 'x'")


def test_a_wrong_secret_is_not_told() -> None:
    with pytest.raises(InvalidSettingError) as caught:
        Settings(api={"key": ["hunter2"]})
    assert "hunter2" not in str(caught.value)
    assert "HEADRACE_API_KEY" in str(caught.value)


def test_a_log_larger_than_its_batch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LOGGING_TO_API_BATCH_SIZE", "10")
    with pytest.raises(InvalidSettingError, match="MAX_LOG_SIZE is 1000000, but it should not be larger"):
        Settings()


def test_values_may_refer_to_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_RESULTS_LOCAL_STORAGE_PATH", "$HEADRACE_HOME/results")
    monkeypatch.setenv("HEADRACE_API_DATABASE_PASSWORD", "pw")
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", "postgresql://u:${HEADRACE_API_DATABASE_PASSWORD}@h/$X")
    monkeypatch.setenv("HEADRACE_LOGGING_CONFIG_PATH", "$HEADRACE_LOCAL_STORAGE_PATH/../logging.yml")
    settings = Settings()
    assert settings.results.local_storage_path == home / "results"
    assert settings.logging.config_path == home / "results" / ".." / "logging.yml"
    assert settings.server.database.connection_url.get_secret_value() == "postgresql://u:pw@h/$X"
    moved = settings.copy_with_update(updates={"HEADRACE_HOME": "/moved"})
    assert moved.results.local_storage_path == Path("/moved/results"), "references follow what they refer to"


def test_paths_do_not_move_with_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", "here")
    monkeypatch.setenv("HEADRACE_LOGGING_CONFIG_PATH", "~/log.yml")
    settings = Settings()
    monkeypatch.chdir("/")
    assert settings.home == tmp_path / "here"
    assert settings.logging.config_path == Path.home() / "log.yml"


def test_references_in_a_circle_and_to_secrets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_API_KEY", "hunter2")
    monkeypatch.setenv("HEADRACE_API_URL", "http://$HEADRACE_API_KEY@host/api")
    monkeypatch.setenv("HEADRACE_SERVER_API_HOST", "$HEADRACE_RUNNER_SERVER_HOST")
    monkeypatch.setenv("HEADRACE_RUNNER_SERVER_HOST", "$HEADRACE_SERVER_API_HOST")
    with pytest.raises(InvalidSettingError) as caught:
        Settings()
    assert "should not refer to HEADRACE_API_KEY, which is a secret" in str(caught.value)
    assert "should not refer to itself" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_defaults_follow_other_settings() -> None:
    settings = Settings(home="/h", api={"url": "http://a/api"}, debug_mode=True)
    assert settings.profiles_path == Path("/h/profiles.toml")
    assert settings.results.local_storage_path == Path("/h/storage")
    assert settings.server.database.connection_url.get_secret_value() == "sqlite:////h/headrace.db"
    assert settings.ui_url == "http://a"
    assert settings.server.ui.api_url == "http://a/api"
    assert settings.logging.level == "DEBUG"


def test_a_database_may_be_given_in_parts() -> None:
    parts = {"driver": "postgresql+psycopg", "host": "db", "port": 5, "user": "me", "name": "runs", "password": "p@ss"}
    url = Settings(server={"database": parts}).server.database.connection_url
    assert url.get_secret_value() == "postgresql+psycopg://me:p%40ss@db:5/runs"
    with pytest.raises(InvalidSettingError, match="HEADRACE_SERVER_DATABASE_USER, HEADRACE_SERVER_DATABASE_NAME should be set"):
        Settings(server={"database": {"driver": "postgresql", "host": "db"}})


def test_secrets_are_masked_wherever_they_are_shown() -> None:
    settings = Settings(api={"key": "hunter2"}, server={"database": {"connection_url": "postgresql://u:hunter2@h/d"}})
    shown = [repr(settings), str(settings), str(settings.model_dump()), str(settings.model_dump(mode="json"))]
    assert not [text for text in shown if "hunter2" in text]
    assert settings.model_dump(mode="json", include_secrets=True)["api"]["key"] == "hunter2"
    assert "HEADRACE_API_KEY" not in settings.to_environment_variables(include_secrets=False)


def test_variables_give_another_process_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(
        api={"url": "http://a/api", "key": "k"},
        client={"retry_extra_codes": {404}, "custom_headers": {"a": "b"}},
        flows={"heartbeat_frequency": 60},
        tasks={"default_retry_delay_seconds": [1, 2.5]},
        server={"events": {"retention_period": timedelta(days=2, milliseconds=1)}},
    )
    variables = given.to_environment_variables(exclude_unset=True)
    assert {"HEADRACE_HOME", "HEADRACE_API_URL", "HEADRACE_API_KEY"} <= set(variables)
    assert "HEADRACE_API_REQUEST_TIMEOUT" not in variables
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert Settings() == given
    assert Settings().hash_key() == given.hash_key()


def test_every_default_is_read_back_from_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    for name, text in defaults.to_environment_variables().items():
        monkeypatch.setenv(name, text)
    again = Settings()
    different = {declared.path for declared in walk(Settings) if again.state.value(declared) != defaults.state.value(declared)}
    assert different == set()


WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1).filter(lambda word: "$" not in word)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("client.retry_extra_codes", st.sets(st.integers())),
        ("client.custom_headers", st.dictionaries(WORDS, WORDS)),
        ("plugins.allow", st.sets(WORDS)),
        ("tasks.default_retry_delay_seconds", st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1)),
        ("server.events.retention_period", st.timedeltas(timedelta(0), timedelta(days=9999))),
        ("api.key", WORDS.map(SecretStr)),
        ("debug_mode", st.booleans()),
    ],
)
@given(data=st.data())
def test_text_is_read_back_as_the_value_it_was_made_of(path: str, values: st.SearchStrategy[object], data: st.DataObject) -> None:
    value = data.draw(values)
    assert parse(core_catalogue().by_path[path], to_text(value)) == value


def test_dumps_can_be_narrowed() -> None:
    settings = Settings(api={"url": "http://a/api", "request_timeout": 60})
    assert settings.api.model_dump(exclude_unset=True) == {"url": "http://a/api", "request_timeout": 60}
    assert settings.api.model_dump(exclude_defaults=True) == {"url": "http://a/api"}
    assert settings.model_dump(exclude_unset=True).keys() == {"home", "api"}
    assert settings.api.model_fields_set == {"url", "request_timeout"}
    assert settings.model_dump(mode="json")["server"]["events"]["retention_period"] == "P7D"


def test_settings_do_not_change_in_place() -> None:
    settings = Settings()
    with pytest.raises(AttributeError, match="temporary_settings"):
        settings.api.url = "x"
    with pytest.raises(AttributeError, match=r"APISettings has no setting 'ulr'\. Did you mean 'url'"):
        _ = settings.api.ulr  # type: ignore[attr-defined]  # that is the point
