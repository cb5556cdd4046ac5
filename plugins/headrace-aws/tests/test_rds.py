"""Tokens for databases of RDS."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from headrace.plugin.registry import forget_registry
from headrace.plugin.startup import database_connection_arguments
from headrace.settings import get_current_settings, temporary_settings
from headrace_aws.errors import AwsError
from headrace_aws.plugins import set_database_connection_params

from .conftest import environment_for

URL = "postgresql+asyncpg://iam%40user@db.example.com:5433/headrace"


@pytest.fixture
def _enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_for("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_RDS_IAM_ENABLED", "true")
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_RDS_IAM_REGION_NAME", "eu-west-3")


@pytest.mark.usefixtures("_enabled")
def test_each_connection_gets_a_token_for_user_host_and_region() -> None:
    found = set_database_connection_params(URL, get_current_settings())
    assert found["sslmode"] == "require"
    token = found["password"]()
    parts = urlsplit(f"https://{token}")
    query = parse_qs(parts.query)
    assert parts.netloc == "db.example.com:5433"
    assert query["DBUser"] == ["iam@user"]
    assert query["Action"] == ["connect"]
    assert "/eu-west-3/rds-db/" in query["X-Amz-Credential"][0]
    assert query["X-Amz-Expires"] == ["900"]


@pytest.mark.usefixtures("_enabled")
def test_tls_that_was_chosen_is_not_made_weaker() -> None:
    assert "sslmode" not in set_database_connection_params(f"{URL}?sslmode=verify-full", get_current_settings())


@pytest.mark.usefixtures("_enabled")
def test_other_databases_and_addresses_without_a_user_get_none() -> None:
    assert set_database_connection_params("sqlite:///x.db", None) == {}
    with pytest.raises(ValueError, match="a host and a user"):
        set_database_connection_params("postgresql:///headrace", None)


def test_nothing_is_done_unless_it_is_switched_on() -> None:
    assert set_database_connection_params(URL, None) == {}


def test_missing_credentials_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_RDS_IAM_ENABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(AwsError, match="iam@user.*db.example.com"):
        set_database_connection_params(URL, None)


@pytest.mark.usefixtures("_enabled")
def test_the_server_asks_for_it_when_hooks_are_on() -> None:
    with temporary_settings({"HEADRACE_PLUGINS_ENABLED": True}):
        forget_registry()
        assert callable(database_connection_arguments(URL, get_current_settings())["password"])
    forget_registry()
