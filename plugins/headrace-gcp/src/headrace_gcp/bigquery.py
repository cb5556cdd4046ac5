"""BigQuery: `BigQueryWarehouse`, and tasks that query and fill tables."""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from headrace import get_run_logger, task
from headrace.blocks.databases import CursorDatabase
from headrace_gcp.credentials import GcpCredentials, endpoint, logging_in, needing
from headrace_gcp.progress import mebibytes, telling
from headrace_gcp.tasks import waiting

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, ExternalConfig, LoadJob, SchemaField, TimePartitioning
    from google.cloud.bigquery.dbapi import Connection, Cursor
    from google.cloud.bigquery.table import Row


NEWS_SECONDS = (30.0, 60.0)
"""After how long it is told that a job is still under way, and how often."""

CANCEL_SECONDS_MAX = 10.0
JOB_PREFIX = "headrace_"
"""What the ids of jobs begin with that are chosen here."""


class QueryTooLarge(ValueError, RuntimeError):
    """A query would read more bytes than it may; it was not run."""


class BigQueryWarehouse(CursorDatabase):
    """Queries BigQuery. Parameters are written `%(name)s` or `%s`; `%(name:INT64)s` gives the type where it cannot be told from the value.

    See `CursorDatabase`: fetching again goes on where the last fetch stopped. A query is stopped when the run that waits for it is interrupted.
    Among the further arguments of a call may be `job_config`, a QueryJobConfig.
    """

    _block_type_name: ClassVar[str | None] = "BigQuery Warehouse"
    _commits: ClassVar[bool] = False
    _is_parallel: ClassVar[bool] = True

    gcp_credentials: GcpCredentials = Field(description="The credentials to use to authenticate.")

    def open_connection(self) -> Connection:
        """Make a DB-API connection."""
        client: Any = _Queries(self.gcp_credentials.get_bigquery_client(), self.logger)
        from google.cloud.bigquery import dbapi

        return dbapi.connect(client=client, prefer_bqstorage_client=_has_fast_reads())

    def run_on(self, cursor: Cursor, operation: str, parameters: Any, options: Mapping[str, Any]) -> None:
        """Run a query as a job of its own."""
        from google.cloud.bigquery import QueryJobConfig
        from google.cloud.bigquery.dbapi import DatabaseError

        given = {"job_id": _job_id(), **options}
        given["job_config"] = copy.deepcopy(given.get("job_config") or QueryJobConfig())
        try:
            with logging_in():
                cursor.execute(operation, parameters, **given)
        except DatabaseError as error:
            raise DatabaseError(f"{error.args[0]}{_advice(error.args[0], self.gcp_credentials)}") from error

    def run_many_on(self, cursor: Cursor, operation: str, seq_of_parameters: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Run a query for each set of parameters, one after the other."""
        for parameters in seq_of_parameters:
            self.run_on(cursor, operation, parameters, options)


# --- tasks


@task
def bigquery_query(
    query: str,
    gcp_credentials: GcpCredentials,
    query_params: list[tuple[str, str, Any]] | None = None,
    dry_run_max_bytes: int | None = None,
    dataset: str | None = None,
    table: str | None = None,
    to_dataframe: bool = False,
    job_config: dict[str, Any] | None = None,
    project: str | None = None,
    result_transformer: Callable[[list[Row]], Any] | None = None,
    location: str = "US",
) -> Any:
    """Run a query and return its rows, or what `result_transformer` makes of them, or a pandas DataFrame with `to_dataframe`.

    `query_params`: tuples of name, type and value, for `@name` in the query. `dry_run_max_bytes`: how many bytes it may read; asked for before
    it is run. `dataset` and `table`, both: where the rows are written; then none are returned unless they are asked for as a DataFrame or by a
    transformer. `job_config`: arguments of the SDK's QueryJobConfig. Raises `QueryTooLarge`, a `ValueError`.
    """
    if (dataset is None) != (table is None):
        raise ValueError("Give both dataset and table to write the rows to a table, or neither to have them returned.")
    with _client(gcp_credentials, project, location) as client:
        from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

        logger = get_run_logger()
        config = QueryJobConfig(**(job_config or {}))
        if query_params is not None:
            config.query_parameters = [ScalarQueryParameter(*one) for one in query_params]
        if dry_run_max_bytes is not None:
            _check_size(client, query, config, dry_run_max_bytes)
        if dataset is not None and table is not None:
            config.destination = _table(client, dataset, table)
        logger.info("Running BigQuery query.")
        rows = _finished(client.query(query, job_config=config), logger)
        if to_dataframe:
            with needing("bigquery"):
                import db_dtypes  # noqa: F401  # pyright: ignore[reportUnusedImport]  # the SDK's own error tells of no extra
            return rows.to_dataframe(create_bqstorage_client=_has_fast_reads())
        if result_transformer is not None:
            return result_transformer(list(rows))
        return list(rows) if dataset is None else []


@task
def bigquery_create_table(
    dataset: str,
    table: str,
    gcp_credentials: GcpCredentials,
    schema: list[SchemaField] | None = None,
    clustering_fields: list[str] | None = None,
    time_partitioning: TimePartitioning | None = None,
    project: str | None = None,
    location: str = "US",
    external_config: ExternalConfig | None = None,
) -> str:
    """Create a table and return its name. One that exists is left as it is. The data set has to exist.

    `schema` may be left out for external tables alone.
    """
    if not external_config and not schema:
        raise ValueError("Give a schema: only a table with an external_config can do without.")
    with _client(gcp_credentials, project, location) as client:
        from google.api_core.exceptions import NotFound
        from google.cloud.bigquery import Table

        wanted = _table(client, dataset, table)
        try:
            client.get_table(wanted)
        except NotFound:
            made = Table(wanted, schema=schema)
            made.clustering_fields = clustering_fields
            if time_partitioning:
                made.time_partitioning = time_partitioning
            if external_config:
                made.external_data_configuration = external_config
            get_run_logger().info("Creating table %s.%s.", dataset, table)
            client.create_table(made, exists_ok=True)
        else:
            get_run_logger().info("The table %s.%s exists, and is left as it is.", dataset, table)
    return table


@task
def bigquery_insert_stream(
    dataset: str,
    table: str,
    records: list[dict[str, Any]],
    gcp_credentials: GcpCredentials,
    project: str | None = None,
    location: str = "US",
) -> list[dict[str, Any]]:
    """Insert records into a table by the streaming API and return them. Each is a dictionary by columns.

    Raises `ValueError` that tells which rows were refused, and why; then no row of the call was inserted.
    """
    with _client(gcp_credentials, project, location) as client:
        get_run_logger().info("Inserting %d records into %s.%s as a stream.", len(records), dataset, table)
        refused: Any = client.insert_rows_json(_table(client, dataset, table), records)
        if refused:
            reasons = "; ".join(f"row {one['index']}: {', '.join(_reason(error) for error in one['errors'])}" for one in refused[:10])
            raise ValueError(f"{len(refused)} of {len(records)} rows were refused by {dataset}.{table}: {reasons}")
    return records


@task
def bigquery_load_cloud_storage(
    dataset: str,
    table: str,
    uri: str,
    gcp_credentials: GcpCredentials,
    schema: list[SchemaField] | None = None,
    job_config: dict[str, Any] | None = None,
    project: str | None = None,
    location: str = "US",
) -> LoadJob:
    """Load what `uri` (`gs://bucket/path*.csv`) holds into a table, wait for it, and return the SDK's job.

    `schema`: default: that of the table, or what BigQuery makes of the content. `job_config`: arguments of the SDK's LoadJobConfig.
    """
    with _client(gcp_credentials, project, location) as client:
        get_run_logger().info("Loading into %s from Cloud Storage: %s.", dataset, uri)
        config = _load_config(schema, job_config)
        wanted = _table(client, dataset, table)
        job = _begun(client, lambda job_id: client.load_table_from_uri(uri, wanted, job_id=job_id, job_config=config))
        return _loaded(job, f"{dataset}.{table}")


@task
def bigquery_load_file(
    dataset: str,
    table: str,
    path: str | Path,
    gcp_credentials: GcpCredentials,
    schema: list[SchemaField] | None = None,
    job_config: dict[str, Any] | None = None,
    rewind: bool = False,
    size: int | None = None,
    project: str | None = None,
    location: str = "US",
) -> LoadJob:
    """Load a file of this machine into a table, wait for it, and return the SDK's job.

    `size`: bytes to send, with one request; default: all, in chunks that are sent again when they get lost. The rest is as for
    `bigquery_load_cloud_storage`. Raises `ValueError` when there is no such file.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"There is no file {str(file)!r} to load.")
    with _client(gcp_credentials, project, location) as client:
        logger = get_run_logger()
        logger.info("Loading into %s from the file %s.", dataset, file)
        wanted, total = _table(client, dataset, table), mebibytes(size or file.stat().st_size)
        with file.open("rb") as content, telling(lambda _: logger.info("Sent %s of %s.", mebibytes(content.tell()), total)):
            job = client.load_table_from_file(
                content, wanted, rewind=rewind, size=size, location=location, job_config=_load_config(schema, job_config)
            )
        return _loaded(job, f"{dataset}.{table}")


abigquery_query = waiting(bigquery_query)
abigquery_create_table = waiting(bigquery_create_table)
abigquery_insert_stream = waiting(bigquery_insert_stream)
abigquery_load_cloud_storage = waiting(bigquery_load_cloud_storage)
abigquery_load_file = waiting(bigquery_load_file)


# --- how


@contextmanager
def _client(gcp_credentials: GcpCredentials, project: str | None, location: str) -> Generator[Client]:
    """Give a client; what BigQuery says meanwhile comes with advice."""
    client = gcp_credentials.get_bigquery_client(project=project, location=location)
    from google.api_core.exceptions import GoogleAPICallError

    try:
        with logging_in():
            yield client
    except GoogleAPICallError as error:
        error.message = f"{error.message}{_advice(error, gcp_credentials)}"
        raise
    finally:
        client.close()


def _table(client: Client, dataset: str, table: str) -> Any:
    from google.cloud.bigquery import DatasetReference

    return DatasetReference(client.project, dataset).table(table)


def _advice(error: Any, gcp_credentials: GcpCredentials) -> str:
    from google.api_core.exceptions import Forbidden, NotFound

    if isinstance(error, NotFound):
        return " Check the names of project, data set and table, and that the location is the data set's."
    if isinstance(error, Forbidden):
        return f" Give {gcp_credentials.account} roles such as roles/bigquery.jobUser on the project and roles/bigquery.dataEditor on the data set."
    return ""


def _check_size(client: Client, query: str, config: Any, bytes_max: int) -> None:
    trial = copy.deepcopy(config)
    trial.dry_run = True
    trial.use_query_cache = False
    size = client.query(query, job_config=trial).total_bytes_processed or 0
    if size > bytes_max:
        raise QueryTooLarge(f"The query would read {size:,} bytes, and it may read {bytes_max:,}; it was not run.")


class _Queries:
    """A client for the SDK's DB-API. Queries are jobs whose ids are known before they begin; what waits for them is `_finished`."""

    def __init__(self, client: Client, logger: Any) -> None:
        self._client, self._logger = client, logger

    def query(self, query: str, job_id: str, **options: Any) -> _Waited:
        return _Waited(_begun(self._client, lambda job_id: self._client.query(query, job_id=job_id, **options), job_id), self._logger)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class _Waited:
    def __init__(self, job: Any, logger: Any) -> None:
        self._job, self._logger = job, logger

    def result(self, **options: Any) -> Any:
        return _finished(self._job, self._logger, **options)


def _job_id() -> str:
    return f"{JOB_PREFIX}{secrets.token_hex(16)}"


def _begun(client: Any, begin: Callable[[str], Any], job_id: str | None = None) -> Any:
    """Begin a job and return it, once: when the answer is lost and the SDK asks again, the job is found by its id."""
    from google.api_core.exceptions import Conflict

    job_id = job_id or _job_id()
    try:
        return begin(job_id)
    except Conflict as error:
        if not job_id.startswith(JOB_PREFIX):
            raise  # an id that the user has given may be that of another query
        place = re.search(rf":([\w-]+)\.{job_id}\b", str(error.message))  # "Already Exists: Job project:EU.headrace_0123"
        return client.get_job(job_id, location=place[1] if place else client.location)
    except Exception:
        raise
    except BaseException:
        with suppress(Exception):  # it may have begun before the request was interrupted
            client.cancel_job(job_id, retry=None, timeout=CANCEL_SECONDS_MAX)
        raise


def _finished(job: Any, logger: Any, **options: Any) -> Any:
    """Wait for a job and return its result. A job that nobody waits for any more is stopped."""
    try:
        with telling(lambda seconds: logger.info("The job %s has been under way for %d seconds.", job.job_id, seconds), *NEWS_SECONDS):
            return job.result(**options)
    except Exception:
        raise
    except BaseException:
        with suppress(Exception):  # who has been interrupted does not wait for a service that is away
            job.cancel(retry=None, timeout=CANCEL_SECONDS_MAX)
        raise


def _has_fast_reads() -> bool:
    """Say whether rows can come by the Storage Read API: where its SDK is installed, and not from another address, which has none of its own."""
    return find_spec("google.cloud.bigquery_storage") is not None and not endpoint("bigquery", "")


def _load_config(schema: list[SchemaField] | None, job_config: dict[str, Any] | None) -> Any:
    from google.cloud.bigquery import LoadJobConfig

    given = dict(job_config or {})
    if schema:
        given["schema"] = schema
    if "autodetect" not in given and not given.get("schema"):
        given["autodetect"] = True
    return LoadJobConfig(**given)


def _loaded(job: Any, target: str) -> LoadJob:
    logger = get_run_logger()
    _finished(job, logger)
    logger.info("Loaded %s rows into %s.", job.output_rows, target)
    return job


def _reason(error: Mapping[str, Any]) -> str:
    return f"{error.get('location') or ''} {error.get('message') or error.get('reason')}".strip()
