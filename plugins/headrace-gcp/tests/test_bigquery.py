"""BigQuery, on bqemulator."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.cloud.bigquery import QueryJobConfig, SchemaField
from google.cloud.bigquery.dbapi import DatabaseError

from headrace import flow
from headrace.testing import DatabaseContract
from headrace_gcp import GcpCredentials
from headrace_gcp.bigquery import (
    BigQueryWarehouse,
    QueryTooLarge,
    abigquery_query,
    bigquery_create_table,
    bigquery_insert_stream,
    bigquery_load_cloud_storage,
    bigquery_load_file,
    bigquery_query,
)

from .bigquery_server import Proxy


@pytest.fixture
def dataset(bigquery: str, credentials: GcpCredentials) -> str:
    """Give an empty data set of the test's own."""
    name = f"d_{uuid4().hex[:12]}"
    credentials.get_bigquery_client().create_dataset(name)
    return name


@pytest.fixture
def warehouse(credentials: GcpCredentials, dataset: str) -> Any:
    with BigQueryWarehouse(gcp_credentials=credentials) as found:
        yield found


class TestWarehouse(DatabaseContract):
    @pytest.fixture
    def database(self, request: pytest.FixtureRequest, credentials: GcpCredentials, dataset: str) -> BigQueryWarehouse:
        things, case = f"{dataset}.things", request.instance
        case.create = f"CREATE TABLE {things} (id INT64, name STRING)"
        case.insert = f"INSERT INTO {things} (id, name) VALUES (%(id)s, %(name)s)"
        case.select = f"SELECT id, name FROM {things} ORDER BY id"
        case.select_above = f"SELECT id, name FROM {things} WHERE id > %(least)s ORDER BY id"
        case.wrong = f"SELECT nothing FROM {dataset}.nowhere_at_all"
        return BigQueryWarehouse(gcp_credentials=credentials)


# --- the warehouse


def test_parameters_may_be_a_sequence(warehouse: BigQueryWarehouse):
    row = warehouse.fetch_one("SELECT %s + %s AS total", (1, 2))
    assert row is not None
    assert (row[0], row.total) == (3, 3)


def test_options_go_to_the_job(warehouse: BigQueryWarehouse, dataset: str):
    config = QueryJobConfig(default_dataset=f"project-one.{dataset}")
    warehouse.execute("CREATE TABLE things (id INT64)", job_config=config)
    assert warehouse.fetch_all("SELECT * FROM things", job_config=config) == []
    assert not config.query_parameters


def test_a_missing_table_comes_with_advice(warehouse: BigQueryWarehouse, dataset: str):
    with pytest.raises(DatabaseError, match=f"(?s){dataset}.*Check the names of project, data set and table, and that the location"):
        warehouse.execute(f"DELETE FROM {dataset}.missing WHERE TRUE")


def test_a_query_is_stopped_when_its_run_is_interrupted(bigquery_proxy: Proxy, credentials: GcpCredentials):
    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    bigquery_proxy.on_wait = interrupt
    with BigQueryWarehouse(gcp_credentials=credentials) as warehouse, pytest.raises(KeyboardInterrupt):
        warehouse.execute("SELECT 1")
    stopped = [path for path, _ in bigquery_proxy.posted if "/cancel" in path]
    (asked,) = [body["jobReference"]["jobId"] for path, body in bigquery_proxy.posted if "/cancel" not in path]
    assert [f"/jobs/{asked}/cancel" in path for path in stopped] == [True]


def test_a_job_whose_answer_was_lost_is_found_again(bigquery_proxy: Proxy, credentials: GcpCredentials, dataset: str, bigquery_objects: Path):
    (bigquery_objects / dataset).mkdir()
    (bigquery_objects / dataset / "ids.csv").write_text("id\n2\n")

    @flow
    def work() -> list[Any]:
        with BigQueryWarehouse(gcp_credentials=credentials) as warehouse:
            warehouse.execute(f"CREATE TABLE {dataset}.once (id INT64)")
            bigquery_proxy.lost = 1
            warehouse.execute(f"INSERT INTO {dataset}.once (id) VALUES (%(id)s)", {"id": 1})
            bigquery_proxy.lost = 1
            bigquery_load_cloud_storage(dataset, "once", f"gs://{dataset}/ids.csv", credentials, job_config={"skip_leading_rows": 1})
            bigquery_proxy.lost = 1
            return warehouse.fetch_all(f"SELECT id FROM {dataset}.once ORDER BY id")

    assert [row.id for row in work()] == [1, 2]
    assert bigquery_proxy.lost == 0
    with BigQueryWarehouse(gcp_credentials=credentials) as warehouse:
        warehouse.execute("SELECT 1", job_id=f"mine-{dataset}")
        with pytest.raises(DatabaseError, match="Already Exists"):
            warehouse.execute("SELECT 2", job_id=f"mine-{dataset}")


def test_a_service_that_hangs_is_given_up(credentials: GcpCredentials, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"bigquery": f"http://127.0.0.1:{silent.getsockname()[1]}"}))
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_REQUEST_TIMEOUT_SECONDS", "1")
        with pytest.raises(Exception, match="[Tt]imed out|Timeout|timeout"):
            credentials.get_bigquery_client().get_dataset("d", retry=None)


# --- tasks

SCHEMA = [SchemaField("name", "STRING"), SchemaField("age", "INT64")]


@flow
def ask(query: str, credentials: GcpCredentials, **options: Any) -> Any:
    return bigquery_query(query, credentials, **options)


def test_a_query_returns_rows_or_what_is_made_of_them(bigquery: str, credentials: GcpCredentials):
    query = "SELECT * FROM UNNEST([1, 2, 3]) AS n WHERE n >= @least ORDER BY n"
    least = [("least", "INT64", 2)]
    assert [tuple(row) for row in ask(query, credentials, query_params=least)] == [(2,), (3,)]
    assert ask(query, credentials, query_params=least, result_transformer=lambda rows: sum(row.n for row in rows)) == 5
    assert list(ask(query, credentials, query_params=least, to_dataframe=True)["n"]) == [2, 3]
    assert len(ask(query, credentials, job_config={"query_parameters": []}, query_params=least, dry_run_max_bytes=10**9)) == 2


def test_rows_are_written_to_a_table(bigquery_proxy: Proxy, credentials: GcpCredentials):
    assert ask("SELECT 42 AS answer", credentials, dataset="d", table="answers") == []
    asked = next(body["configuration"]["query"] for path, body in bigquery_proxy.posted if "/jobs" in path)
    assert asked["destinationTable"] == {"projectId": "project-one", "datasetId": "d", "tableId": "answers"}
    assert [row.answer for row in ask("SELECT 42 AS answer", credentials, dataset="d", table="answers", result_transformer=list)] == [42]
    with pytest.raises(ValueError, match="Give both dataset and table"):
        ask("SELECT 1", credentials, dataset="d")


def test_a_query_that_is_too_large_is_not_run(bigquery: str, credentials: GcpCredentials):
    with pytest.raises(QueryTooLarge, match="would read 0 bytes, and it may read -1") as caught:
        ask("SELECT 1", credentials, dry_run_max_bytes=-1)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, RuntimeError)


def test_tables_are_made_once_and_filled(bigquery: str, credentials: GcpCredentials, dataset: str, tmp_path: Path):
    (tmp_path / "people.csv").write_text("name,age\nMarvin,37\nFord,42\n")

    @flow
    def work() -> Any:
        for _ in range(2):
            assert bigquery_create_table(dataset, "people", credentials, schema=SCHEMA, clustering_fields=["name"]) == "people"
        records = [{"name": "Trillian", "age": 29}]
        assert bigquery_insert_stream(dataset, "people", records, credentials) == records
        job = bigquery_load_file(dataset, "people", tmp_path / "people.csv", credentials, schema=SCHEMA, job_config={"skip_leading_rows": 1})
        assert job.errors is None
        assert job.done()
        return bigquery_query(f"SELECT name FROM {dataset}.people ORDER BY name", credentials)

    assert [row.name for row in work()] == ["Ford", "Marvin", "Trillian"]


def test_wrong_rows_a_missing_file_and_a_missing_schema_are_told(bigquery_proxy: Proxy, credentials: GcpCredentials, dataset: str):
    @flow
    def work() -> None:
        bigquery_create_table(dataset, "people", credentials, schema=SCHEMA)
        with pytest.raises(ValueError, match=r"1 of 2 rows were refused by d_\w+.people: row 1: unknown no such field"):
            bigquery_insert_stream(dataset, "people", [{"age": 1}, {"unknown": 1}], credentials)
        with pytest.raises(ValueError, match="There is no file '/no/file.csv' to load"):
            bigquery_load_file(dataset, "people", "/no/file.csv", credentials)
        with pytest.raises(ValueError, match="Give a schema"):
            bigquery_create_table(dataset, "others", credentials)
        with pytest.raises(Exception, match="Check the names of project, data set and table"):
            bigquery_query("SELECT * FROM nowhere.people", credentials)

    work()


def test_an_async_flow_awaits_the_twin(bigquery: str, credentials: GcpCredentials):
    @flow
    async def work() -> Any:
        return await abigquery_query("SELECT 1 AS one", credentials)

    assert [row.one for row in asyncio.run(work())] == [1]


def test_objects_are_loaded_from_cloud_storage(bigquery: str, bigquery_objects: Path, credentials: GcpCredentials, dataset: str):
    (bigquery_objects / dataset).mkdir()
    (bigquery_objects / dataset / "people.csv").write_text("name,age\nMarvin,37\n")

    @flow
    def work() -> Any:
        uri = f"gs://{dataset}/people.csv"
        job = bigquery_load_cloud_storage(dataset, "people", uri, credentials, schema=SCHEMA, job_config={"skip_leading_rows": 1})
        return job.output_rows, bigquery_query(f"SELECT name, age FROM {dataset}.people", credentials)

    rows, found = work()
    assert rows == 1
    assert [tuple(row) for row in found] == [("Marvin", 37)]
