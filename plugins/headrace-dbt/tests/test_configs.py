"""Profiles and target configs, alone and on a real PostgreSQL."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import BaseModel, SecretBytes, SecretStr

from headrace import flow
from headrace.blocks.abstract import CredentialsBlock
from headrace.blocks.core import Block
from headrace.blocks.fields import SecretDict
from headrace_dbt import HeadraceDbtRunner, HeadraceDbtSettings
from headrace_dbt.cli import (
    BigQueryTargetConfigs,
    DbtCliProfile,
    GlobalConfigs,
    PostgresTargetConfigs,
    SnowflakeTargetConfigs,
    TargetConfigs,
)
from headrace_dbt.cli.commands import run_dbt_build
from headrace_dbt.cli.configs.base import MissingExtrasRequireError
from headrace_dbt.cli.credentials import target_configs_discriminator
from headrace_dbt.core.invocation import invoke
from headrace_dbt.sdk import EventLevel
from headrace_dbt.utilities import (
    command_of,
    find_profiles_dir,
    format_resource_id,
    kwargs_to_args,
    replace_with_env_var_call,
)

# --- blocks as the plugins of those services have them ------------------------------------------------------------------


class StandInSnowflakeCredentials(CredentialsBlock):
    _block_type_slug = "stand-in-snowflake-credentials"

    account: str
    user: str | None = None
    password: SecretStr | None = None
    private_key: SecretBytes | None = None
    authenticator: str = "snowflake"
    endpoint: str | None = None
    role: str | None = None

    def get_client(self) -> None: ...


class StandInSnowflakeConnector(Block):
    _block_type_slug = "stand-in-snowflake-connector"

    credentials: StandInSnowflakeCredentials
    database: str
    warehouse: str
    schema_: str
    fetch_size: int = 1


class StandInGcpCredentials(CredentialsBlock):
    _block_type_slug = "stand-in-gcp-credentials"

    service_account_file: Path | None = None
    service_account_info: SecretDict | None = None
    project: str | None = None

    def get_client(self) -> None: ...


class Components(BaseModel):
    driver: str
    database: str
    username: str
    password: SecretStr
    host: str
    port: int | None = None
    query: dict[str, str] | None = None


class StandInSqlAlchemyConnector(Block):
    _block_type_slug = "stand-in-sqlalchemy-connector"

    connection_info: Components | SecretStr


def connector(**more: Any) -> StandInSnowflakeConnector:
    credentials = StandInSnowflakeCredentials(account="acme", user="me", password="word", **more)
    return StandInSnowflakeConnector(credentials=credentials, database="shop", warehouse="small", schema_="public")


# --- configs ------------------------------------------------------------------------------------------------------------


def test_configs_are_what_dbt_reads():
    configs = TargetConfigs(type="redshift", schema="public", extras={"host": "h", "password": "hidden", "port": 5439})
    assert configs.get_configs() == {"type": "redshift", "schema": "public", "threads": 4, "host": "h", "password": "hidden", "port": 5439}
    assert "hidden" not in f"{configs!r} {configs.model_dump_json()}"
    assert TargetConfigs(type="redshift", schema_="other").schema_ == "other"
    profile = DbtCliProfile(name="shop", target="dev", target_configs=configs, global_configs=GlobalConfigs(use_colors=False, printer_width=90))
    assert profile.get_profile() == {
        "shop": {"target": "dev", "outputs": {"dev": configs.get_configs()}},
        "config": {"use_colors": False, "printer_width": 90},
    }


def test_what_is_given_twice_is_an_error_unless_fields_may_win():
    given = {"type": "redshift", "schema": "public", "extras": {"schema": "other", "threads": 4}}
    with pytest.raises(ValueError, match="'schema' is given more than once to TargetConfigs"):
        TargetConfigs(**given).get_configs()
    assert TargetConfigs(**given, allow_field_overrides=True).get_configs()["schema"] == "public"
    with pytest.raises(ValueError, match="'user' is given more than once to SnowflakeTargetConfigs"):
        SnowflakeTargetConfigs(connector=connector(), extras={"user": "you"}).get_configs()


def test_snowflake():
    configs = SnowflakeTargetConfigs(connector=connector(role="boss"), extras={"retry_on_database_errors": True})
    assert configs.get_configs() == {
        "type": "snowflake", "threads": 4, "account": "acme", "user": "me", "password": "word", "role": "boss", "database": "shop",
        "warehouse": "small", "schema": "public", "retry_on_database_errors": True,
    }  # fmt: skip
    assert SnowflakeTargetConfigs(connector=connector(), schema="own").get_configs()["schema"] == "own"
    okta = connector(authenticator="okta_endpoint", endpoint="https://acme.okta.com", private_key=b"PEM")
    found = SnowflakeTargetConfigs(connector=okta).get_configs()
    assert (found["authenticator"], found["private_key"]) == ("https://acme.okta.com", "PEM")
    with pytest.raises(ValueError, match="No schema is given"):
        SnowflakeTargetConfigs(connector={"account": "a"}).get_configs()


def test_a_private_key_reaches_dbt_in_order():
    class Orderly(StandInSnowflakeCredentials):
        _block_type_slug = "stand-in-orderly-snowflake-credentials"

        def resolve_private_key(self) -> bytes:
            return b"der of the key"

    credentials = Orderly(account="acme", user="me", password="its passphrase once", private_key=b"PEM of one line")
    found = SnowflakeTargetConfigs(connector=connector().model_copy(update={"credentials": credentials})).get_configs()
    assert base64.b64decode(found["private_key"]) == b"der of the key"
    assert "password" not in found


def test_bigquery():
    assert BigQueryTargetConfigs(schema="s").get_configs() == {"type": "bigquery", "schema": "s", "threads": 4, "method": "oauth"}
    file = StandInGcpCredentials(service_account_file="/keys/a.json", project="p")
    assert BigQueryTargetConfigs(schema="s", credentials=file).get_configs()["keyfile"] == "/keys/a.json"
    info = StandInGcpCredentials(service_account_info={"project_id": "p", "private_key": "word"})
    found = BigQueryTargetConfigs(schema="s", credentials=info).get_configs()
    assert found["method"] == "service-account-json"
    assert found["keyfile_json"] == {"project_id": "p", "private_key": "word"}
    assert found["project"] == "p"
    assert BigQueryTargetConfigs(schema="s", project="own", credentials=info).get_configs()["project"] == "own"
    saved = {"block_type_slug": "gcp-credentials", "service_account_info": {"project_id": "p", "private_key": "word"}, "project": None}
    configs = BigQueryTargetConfigs(schema="s", credentials=saved)  # its plugin is not installed here
    assert configs.get_configs() == BigQueryTargetConfigs(schema="s", credentials=info).get_configs()
    assert "word" not in repr(configs)
    with pytest.raises(MissingExtrasRequireError, match="'no-such-credentials', whose plugin is not installed"):
        BigQueryTargetConfigs(schema="s", credentials={"block_type_slug": "no-such-credentials"})


@pytest.mark.parametrize(
    "credentials",
    [
        {"host": "h", "user": "me", "password": "w@rd", "dbname": "shop", "sslmode": "require"},
        {"url": "postgresql+psycopg2://me:w%40rd@h/shop?sslmode=require"},
        StandInSqlAlchemyConnector(connection_info=SecretStr("postgresql://me:w%40rd@h:5432/shop?sslmode=require")),
        StandInSqlAlchemyConnector(
            connection_info=Components(
                driver="postgresql+asyncpg", database="shop", username="me", password="w@rd", host="h", query={"sslmode": "require"}
            )
        ),
    ],
)
def test_postgres(credentials):
    assert PostgresTargetConfigs(schema="s", credentials=credentials).get_configs() == {
        "type": "postgres", "schema": "s", "threads": 4, "host": "h", "port": 5432, "user": "me", "password": "w@rd", "dbname": "shop",
        "sslmode": "require",
    }  # fmt: skip


def test_other_databases_are_refused():
    with pytest.raises(ValueError, match="these credentials are for 'mysql'"):
        PostgresTargetConfigs(schema="s", credentials={"url": "mysql://me@h/shop"}).get_configs()
    with pytest.raises(ValueError, match="hold no connection_info"):
        PostgresTargetConfigs(schema="s", credentials=connector()).get_configs()


@pytest.mark.parametrize("is_saved_before", [True, False])
def test_blocks_of_other_plugins_are_stored_with_the_configs(is_saved_before):
    inner = connector()
    if is_saved_before:
        inner.save("warehouse")
    configs = SnowflakeTargetConfigs(connector=inner)
    DbtCliProfile(name="shop", target="dev", target_configs=configs).save("shop")
    loaded = DbtCliProfile.load("shop")
    assert isinstance(loaded.target_configs, SnowflakeTargetConfigs)
    assert isinstance(loaded.target_configs.connector, StandInSnowflakeConnector)
    assert loaded.get_profile() == DbtCliProfile(name="shop", target="dev", target_configs=configs).get_profile()
    configs.save("configs")
    if is_saved_before:
        inner.model_copy(update={"warehouse": "large"}).save("warehouse", overwrite=True)
    assert SnowflakeTargetConfigs.load("configs").get_configs()["warehouse"] == ("large" if is_saved_before else "small")


def test_secrets_of_inner_blocks_are_not_shown_by_the_server():
    from headrace.client.orchestration import get_client

    SnowflakeTargetConfigs(connector=connector()).save("configs")
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name("configs", "dbt-cli-snowflake-target-configs", include_secrets=False)
    assert document.data["connector"]["credentials"]["password"] == "********"


def test_a_missing_plugin_is_named():
    with pytest.raises(MissingExtrasRequireError, match="'no-such-connector', whose plugin is not installed"):
        SnowflakeTargetConfigs(connector={"block_type_slug": "no-such-connector", "database": "shop"})


def test_configs_tell_which_they_are():
    assert target_configs_discriminator({"block_type_slug": "dbt-cli-postgres-target-configs"}) == "dbt-cli-postgres-target-configs"
    assert target_configs_discriminator({"type": "duckdb"}) == "dbt-cli-target-configs"
    assert target_configs_discriminator(BigQueryTargetConfigs(schema="s")) == "dbt-cli-bigquery-target-configs"


PROFILES = """
config: {use_colors: false}
shop:
  target: dev
  outputs:
    dev: {type: postgres, schema: public, threads: 2, host: h, password: "{{ env_var('WORD') }}"}
    big: {type: bigquery, dataset: d}
    odd: {type: duckdb}
"""


def test_configs_come_from_profiles_yml():
    with pytest.raises(ValueError, match="No profiles.yml found at .*nowhere"):
        TargetConfigs.from_profiles_yml(profiles_dir="nowhere")
    Path("profiles.yml").write_text(PROFILES)
    configs = TargetConfigs.from_profiles_yml()
    assert configs.get_configs() == {"type": "postgres", "schema": "public", "threads": 2, "host": "h", "password": "{{ env_var('WORD') }}"}
    assert TargetConfigs.from_profiles_yml("shop", "big", profiles_dir=".").schema_ == "d"
    with pytest.raises(ValueError, match="There is no profile in .*profiles.yml called 'other'; there is shop"):
        TargetConfigs.from_profiles_yml("other")
    with pytest.raises(ValueError, match=r"There is no target of profile 'shop' in .* called 'prod'; there is dev, big, odd"):
        TargetConfigs.from_profiles_yml(target_name="prod")
    with pytest.raises(ValueError, match="Target 'odd' of profile 'shop' in .* has no schema"):
        TargetConfigs.from_profiles_yml(target_name="odd")


# --- PostgreSQL ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres(empty_postgres_url: str) -> PostgresTargetConfigs:
    url = urlsplit(empty_postgres_url)
    credentials = {"host": url.hostname, "port": url.port, "user": url.username, "password": "unused", "dbname": url.path[1:]}
    return PostgresTargetConfigs(schema="built", threads=2, credentials=credentials)


def test_a_project_is_built_in_postgres(shop, seen, postgres):
    shop({"models/totals.sql": "{{ config(materialized='table') }} select sum(amount) as total from {{ ref('large_orders') }}"})
    profile = DbtCliProfile(name="shop", target="dev", target_configs=postgres)

    @flow
    def build() -> bool:
        return run_dbt_build(profiles_dir="profiles", dbt_cli_profile=profile, create_summary_artifact=True).success

    assert build()
    assert "| 5 | 0 | 0 | 0 | 0 |" in seen.artifacts()[0].data

    @flow
    def run() -> bool:
        return HeadraceDbtRunner(settings=HeadraceDbtSettings(profiles_dir="profiles")).invoke(["run"]).success

    assert run()
    database = postgres.get_configs()["dbname"]
    made = {event.resource.id for event in seen.events("prefect.asset.materialization.succeeded")}
    assert made == {f"postgres://{database}/built/orders", f"postgres://{database}/built/totals"}


def test_a_warehouse_that_does_not_answer_is_told(shop, postgres):
    shop()
    gone = postgres.model_copy(
        update={"credentials": SecretDict({"host": "127.0.0.1", "port": 9, "user": "me", "password": "hidden", "dbname": "d"})}
    )
    profile = DbtCliProfile(name="shop", target="dev", target_configs=gone)
    with pytest.raises(RuntimeError, match=r"dbt build could not be run: Database Error\s+connection .* failed: Connection refused") as caught:
        run_dbt_build.fn(profiles_dir="profiles", dbt_cli_profile=profile)
    assert "hidden" not in str(caught.value)


# --- settings and small functions -----------------------------------------------------------------------------------------


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    assert HeadraceDbtSettings().profiles_dir == tmp_path / ".dbt"
    assert HeadraceDbtSettings().project_dir == Path.cwd()
    assert HeadraceDbtSettings().log_level is EventLevel.INFO
    Path("profiles.yml").write_text("{}")
    assert find_profiles_dir() == Path.cwd()
    for name, value in {"PROFILES_DIR": "/p", "PROJECT_DIR": "/q", "LOG_LEVEL": "ERROR", "TARGET_PATH": "t"}.items():
        monkeypatch.setenv(f"DBT_{name}", value)
    settings = HeadraceDbtSettings()
    assert (settings.profiles_dir, settings.project_dir, settings.log_level, settings.target_path) == (
        Path("/p"), Path("/q"), EventLevel.ERROR, Path("t"),
    )  # fmt: skip
    with pytest.raises(ValueError, match="profiles_dir '/p' does not exist"):
        settings.validate_for_orchestrator()
    with pytest.raises(ValueError, match="There is no dbt_project.yml in project_dir"):
        HeadraceDbtSettings(profiles_dir=Path.cwd(), project_dir=Path.cwd()).validate_for_orchestrator()
    Path("profiles.yml").write_text("shop: {password: {{ secret }}\n")
    with pytest.raises(ValueError, match="is no valid YAML") as caught:
        HeadraceDbtSettings(profiles_dir=Path.cwd()).load_profiles_yml()
    assert "secret" not in str(caught.value)


def test_values_of_blocks_reach_dbt_as_the_types_that_they_are(shop):
    from headrace.blocks.system import Secret

    Secret(value={"path": "typed.duckdb", "threads": 3, "settings": {"memory_limit": "1GB"}}).save("all")
    base = "headrace.blocks.secret.all"
    target = {"type": "duckdb", **{name: f"{{{{ {base}.{name} }}}}" for name in ("path", "threads", "settings")}}
    shop({"profiles.yml": yaml.safe_dump({"shop": {"target": "dev", "outputs": {"dev": target}}})})
    settings = HeadraceDbtSettings()
    with settings.resolve_profiles_yml() as folder:
        content = (Path(folder) / "profiles.yml").read_text()
        assert "typed.duckdb" not in content
        assert "1GB" not in content
        assert yaml.safe_load(content)["shop"]["target"] == "dev"
        assert invoke(["--log-level", "none", "debug", "--profiles-dir", folder]).success
    assert not Path(folder).exists()


def test_an_environment_variable_stands_for_a_value(monkeypatch):
    import os

    call = replace_with_env_var_call("{{ headrace.blocks.secret.x }}", "word")
    name = call.split("'")[1]
    assert call == f"{{{{ env_var('{name}') }}}}"
    assert name.startswith("DBT_ENV_SECRET_HEADRACE_BLOCKS_SECRET_X_")
    assert os.environ.pop(name) == "word"


@pytest.mark.parametrize(
    ("relation", "key"),
    [
        ('"dev"."main"."orders"', "duckdb://dev/main/orders"),
        ("`my-project`.`set`.`t`", "duckdb://my-project/set/t"),
        ('"a b"."c#d"', "duckdb://ab/cd"),
        ("x" * 600, "duckdb://" + "x" * 503),
    ],
)
def test_relations_become_keys(relation, key):
    assert format_resource_id("duckdb", relation) == key


def test_keywords_become_arguments():
    kwargs = {"select": ["a", "b"], "full_refresh": True, "partial_parse": False, "vars": {"x": 1}, "threads": 2, "target": None}
    words = ["--select", "a", "b", "--full-refresh", "--no-partial-parse", "--vars", '{"x": 1}', "--threads", "2"]
    assert kwargs_to_args(kwargs) == words
    assert kwargs_to_args({"full_refresh": False}, ["run"]) == ["run"]  # dbt has no option to say so
    assert kwargs_to_args({"select": "a", "partial_parse": True, "threads": 1}, ["run", "-s", "b", "--no-partial-parse", "--threads=3"]) == [
        "run", "-s", "b", "--no-partial-parse", "--threads=3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "command"),
    [
        (["build"], "build"),
        (["--log-level", "debug", "run", "--select", "build"], "run"),
        (["--quiet", "--target=prod", "test"], "test"),
        (["source", "freshness", "-s", "x"], "source freshness"),
        (["docs", "generate"], "docs generate"),
        (["--version"], ""),
    ],
)
def test_the_command_is_found_among_the_arguments(args, command):
    assert command_of(args) == command


def test_a_password_of_a_block_is_on_no_disk_and_in_no_log(shop, seen, empty_postgres_url, monkeypatch):
    from headrace.blocks.system import Secret

    Secret(value="hush-hush-hush").save("password")
    url = urlsplit(empty_postgres_url)
    target = {
        "type": "postgres", "host": url.hostname, "port": url.port, "user": url.username, "dbname": url.path[1:], "schema": "built",
        "threads": 2, "password": "{{ headrace.blocks.secret.password }}",
    }  # fmt: skip
    shop({"profiles.yml": yaml.safe_dump({"shop": {"target": "dev", "outputs": {"dev": target}}})})
    monkeypatch.setenv("DBT_LOG_LEVEL", "debug")

    @flow
    def run() -> bool:
        runner = HeadraceDbtRunner()
        return runner.invoke(["debug"]).success and runner.invoke(["seed"]).success

    assert run()
    assert seen.states() == {"seed raw_orders": "COMPLETED"}
    written = [str(file) for file in Path().rglob("*") if file.is_file() and b"hush-hush" in file.read_bytes()]
    assert written == []
    assert not [log for log in seen.logs() if "hush-hush" in log.message]
