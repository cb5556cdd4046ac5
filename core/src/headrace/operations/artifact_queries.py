"""Listing and counting artifacts and their collections, the latest version of each key.

A collection has the id and the making time of the oldest version of its key, and shows all else of the newest.
"""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock
from headrace.model.artifact_queries import (
    ArtifactCollectionFilter,
    ArtifactFilter,
    CountArtifacts,
    CountLatestArtifacts,
    FilterArtifacts,
    FilterLatestArtifacts,
)
from headrace.model.artifacts import Artifact, ArtifactCollection
from headrace.model.endpoints import artifact_queries as endpoints
from headrace.model.run_queries import RunScope
from headrace.operations.artifacts import ARTIFACT_COLUMNS, SELECT_ARTIFACTS, artifact_out, values_out
from headrace.operations.conditions import Conditions
from headrace.operations.pages import page_limit
from headrace.operations.runs.run_conditions import flow_run_where, flow_where, matches_all, task_run_where
from headrace.operations.table import Operation
from headrace.store.database import Row, Transaction

_FIRST = "(SELECT f.{} FROM artifact f WHERE f.key = a.key ORDER BY f.id LIMIT 1)"
_SELECT_LATEST = f"SELECT {ARTIFACT_COLUMNS}, {_FIRST.format('id')} AS first_id, {_FIRST.format('created')} AS first_created FROM artifact a"
_IS_LATEST = "a.key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM artifact n WHERE n.key = a.key AND n.id > a.id)"
_ORDERS = {
    "CREATED_DESC": "a.created DESC, a.id DESC",
    "UPDATED_DESC": "a.updated DESC, a.id DESC",
    "ID_DESC": "a.id DESC",
    "KEY_DESC": "a.key DESC, a.id DESC",
    "KEY_ASC": "a.key, a.id",
}
_LATEST_ORDERS = {**_ORDERS, "CREATED_DESC": "first_created DESC, first_id DESC", "ID_DESC": "first_id DESC"}


def _collection(row: Row) -> ArtifactCollection:
    return ArtifactCollection(id=UUID(bytes=row[10]), created=clock.from_us(row[11]), latest_id=UUID(bytes=row[0]), **values_out(row))


def _runs(scope: RunScope) -> Conditions:
    """Return the conditions on the runs that made the artifact."""
    found = Conditions()
    if scope.task_runs is not None and not matches_all(scope.task_runs):
        where = task_run_where(scope.task_runs, "t")
        inner = where.joined(scope.task_runs.operator)
        found.add(f"EXISTS (SELECT 1 FROM task_run t WHERE t.id = a.task_run_id AND {inner})", *where.values)
    if scope.flow_runs is not None and not matches_all(scope.flow_runs):
        where = flow_run_where(scope.flow_runs, "r")
        inner = where.joined(scope.flow_runs.operator)
        found.add(f"EXISTS (SELECT 1 FROM flow_run r WHERE r.id = a.flow_run_id AND {inner})", *where.values)
    if scope.flows is not None and not matches_all(scope.flows):
        where = flow_where(scope.flows, "f")
        inner = where.joined(scope.flows.operator)
        found.add(f"EXISTS (SELECT 1 FROM flow_run r JOIN flow f ON f.id = r.flow_id WHERE r.id = a.flow_run_id AND {inner})", *where.values)
    return found


def _where(body: CountArtifacts | CountLatestArtifacts) -> tuple[str, list[object]]:
    own, values = _conditions(body.artifacts)
    runs = _runs(body)
    return f"{own} AND {runs.joined()}", [*values, *runs.values]


def _conditions(wanted: ArtifactFilter | ArtifactCollectionFilter | None) -> tuple[str, list[object]]:
    found = Conditions()
    if wanted is None:
        return found.joined(), []
    by_id = wanted.latest_id if isinstance(wanted, ArtifactCollectionFilter) else wanted.id
    if by_id:
        found.any_of("a.id", by_id.any_)
    if wanted.key:
        key = Conditions()
        key.any_of("a.key", wanted.key.any_)
        key.contains("a.key", wanted.key.like_)
        key.present("a.key", wanted.key.exists_)
        found.add(key.joined(), *key.values)
    if wanted.flow_run_id:
        found.any_of("a.flow_run_id", wanted.flow_run_id.any_)
    if wanted.task_run_id:
        found.any_of("a.task_run_id", wanted.task_run_id.any_)
    if wanted.type:
        kind = Conditions()
        kind.any_of("a.type", wanted.type.any_)
        kind.any_of("a.type", wanted.type.not_any_, negated=True)
        found.add(kind.joined(), *kind.values)
    return found.joined(wanted.operator), found.values


def filter_artifacts(tx: Transaction, body: FilterArtifacts) -> list[Artifact]:
    """List versions of artifacts."""
    where, values = _where(body)
    rows = tx.sql(
        f"{SELECT_ARTIFACTS} WHERE {where} ORDER BY {_ORDERS[body.sort]} LIMIT ? OFFSET ?", (*values, page_limit(body.limit), body.offset or 0)
    )
    return [artifact_out(row) for row in rows]


def filter_latest_artifacts(tx: Transaction, body: FilterLatestArtifacts) -> list[ArtifactCollection]:
    """List collections."""
    where, values = _where(body)
    rows = tx.sql(
        f"{_SELECT_LATEST} WHERE {_IS_LATEST} AND {where} ORDER BY {_LATEST_ORDERS[body.sort]} LIMIT ? OFFSET ?",
        (*values, page_limit(body.limit), body.offset or 0),
    )
    return [_collection(row) for row in rows]


def count_artifacts(tx: Transaction, body: CountArtifacts) -> int:
    """Count versions of artifacts."""
    where, values = _where(body)
    return tx.sql(f"SELECT COUNT(*) FROM artifact a WHERE {where}", values)[0][0]


def count_latest_artifacts(tx: Transaction, body: CountLatestArtifacts) -> int:
    """Count collections."""
    where, values = _where(body)
    return tx.sql(f"SELECT COUNT(*) FROM artifact a WHERE {_IS_LATEST} AND {where}", values)[0][0]


OPERATIONS = {
    endpoints.FILTER_ARTIFACTS: Operation(filter_artifacts, writes=False),
    endpoints.FILTER_LATEST_ARTIFACTS: Operation(filter_latest_artifacts, writes=False),
    endpoints.COUNT_ARTIFACTS: Operation(count_artifacts, writes=False),
    endpoints.COUNT_LATEST_ARTIFACTS: Operation(count_latest_artifacts, writes=False),
}
