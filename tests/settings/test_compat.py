"""Settings that people have under the names of Prefect."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.settings import Settings
from headrace.settings.inspection import explain, findings


@pytest.fixture(autouse=True)
def prefect_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://there/api")
    monkeypatch.setenv("PREFECT_TASK_DEFAULT_RETRIES", "2")
    monkeypatch.setenv("PREFECT_HOME", "/prefect")
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql://prefect")
    monkeypatch.setenv("PREFECT_MESSAGING_BROKER", "prefect_redis.messaging")
    monkeypatch.setenv("PREFECT_CLOUD_API_URL", "http://elsewhere")
    (tmp_path / ".env").write_text("PREFECT_FLOWS_DEFAULT_RETRIES=3\nPREFECT_API_URL=http://low/api\n")
    (tmp_path / "prefect.toml").write_text("[logging]\nlevel = 'ERROR'\n[cloud]\nx = 1\n")
    (tmp_path / "pyproject.toml").write_text("[tool.prefect.client]\nmax_retries = 7\n")


def test_they_are_not_looked_at_by_themselves() -> None:
    assert Settings().api.url is None


def test_they_are_read_and_reported_on_request(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_COMPAT", "true")
    with pytest.warns(UserWarning, match="is read as HEADRACE_") as caught:
        settings = Settings()
    assert settings.api.url == "http://there/api"
    assert settings.tasks.default_retries == 2
    assert settings.flows.default_retries == 3
    assert settings.logging.level == "ERROR"
    assert settings.client.max_retries == 7
    assert settings.server.events.messaging_broker == "headrace_redis.messaging"
    assert settings.home == home
    assert "prefect" not in settings.server.database.connection_url.get_secret_value()
    texts = [str(warning.message) for warning in caught]
    assert "PREFECT_API_URL (from the environment) is read as HEADRACE_API_URL." in texts
    assert len(texts) == len(set(texts)) == 7
    assert {finding.message for finding in findings()} >= set(texts)


@pytest.mark.filterwarnings("ignore:.*is read as HEADRACE_")
def test_names_of_headrace_win_over_them_and_they_over_a_profile(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_COMPAT", "1")
    home.mkdir()
    (home / "profiles.toml").write_text("[profiles.ephemeral]\nHEADRACE_API_URL = 'http://profile/api'\n")
    assert Settings().api.url == "http://there/api"
    (tmp_path / "headrace.toml").write_text("[api]\nurl = 'http://ours/api'\n")
    assert Settings().api.url == "http://ours/api"
    assert [one.name for one in explain("HEADRACE_API_URL").mentions] == [
        "api.url",
        "PREFECT_API_URL",
        "PREFECT_API_URL",
        "HEADRACE_API_URL",
    ]
