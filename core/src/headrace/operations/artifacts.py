"""Artifacts: stored, read, changed, deleted, listed; and their collections, the latest version of each key, found by query.

A collection has the id and the making time of the oldest version of its key, and shows all else of the newest.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.artifacts import (
    Artifact,
    ArtifactCollection,
    ArtifactCollectionFilter,
    ArtifactCreate,
    ArtifactFilter,
    ArtifactUpdate,
    CountArtifacts,
    CountLatestArtifacts,
    FilterArtifacts,
    FilterLatestArtifacts,
)
from headrace.model.endpoints import artifacts as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.operations.conditions import Conditions
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.store.codec import id_in, id_out, json_in, json_out
from headrace.store.database import Row, Transaction

_COLUMNS = "a.id, a.created, a.updated, a.key, a.type, a.description, a.data, a.metadata_, a.flow_run_id, a.task_run_id"
_SELECT = f"SELECT {_COLUMNS} FROM artifact a"
_FIRST = "(SELECT f.{} FROM artifact f WHERE f.key = a.key ORDER BY f.id LIMIT 1)"
_SELECT_LATEST = f"SELECT {_COLUMNS}, {_FIRST.format('id')} AS first_id, {_FIRST.format('created')} AS first_created FROM artifact a"
_IS_LATEST = "a.key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM artifact n WHERE n.key = a.key AND n.id > a.id)"
_ORDERS = {
    "CREATED_DESC": "a.created DESC, a.id DESC",
    "UPDATED_DESC": "a.updated DESC, a.id DESC",
    "ID_DESC": "a.id DESC",
    "KEY_DESC": "a.key DESC, a.id DESC",
    "KEY_ASC": "a.key, a.id",
}
_LATEST_ORDERS = {**_ORDERS, "CREATED_DESC": "first_created DESC, first_id DESC", "ID_DESC": "first_id DESC"}


def _values(row: Row) -> dict[str, Any]:
    return {
        "updated": clock.from_us(row[2]),
        "key": row[3],
        "type": row[4],
        "description": row[5],
        "data": json_out(row[6]),
        "metadata_": json_out(row[7]),
        "flow_run_id": id_out(row[8]),
        "task_run_id": id_out(row[9]),
    }


def _artifact(row: Row) -> Artifact:
    return Artifact(id=UUID(bytes=row[0]), created=clock.from_us(row[1]), **_values(row))


def _collection(row: Row) -> ArtifactCollection:
    return ArtifactCollection(id=UUID(bytes=row[10]), created=clock.from_us(row[11]), latest_id=UUID(bytes=row[0]), **_values(row))


def create_artifact(tx: Transaction, body: ArtifactCreate) -> Artifact:
    artifact_id, now = ids.new(), clock.now()
    tx.sql_count(
        """INSERT INTO artifact (id, created, updated, key, type, description, data, metadata_, flow_run_id, task_run_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            artifact_id.bytes,
            clock.to_us(now),
            clock.to_us(now),
            body.key,
            body.type,
            body.description,
            json_in(body.data),
            json_in(body.metadata_),
            id_in(body.flow_run_id),
            id_in(body.task_run_id),
        ),
    )
    return Artifact(id=artifact_id, created=now, updated=now, **body.model_dump())


def read_artifact(tx: Transaction, *, id: UUID) -> Artifact:
    row = tx.sql_one(f"{_SELECT} WHERE a.id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound("Artifact not found.")
    return _artifact(row)


def read_latest_artifact(tx: Transaction, *, key: str) -> Artifact:
    row = tx.sql_one(f"{_SELECT} WHERE a.key = ? ORDER BY a.id DESC LIMIT 1", (key,))
    if row is None:
        raise ObjectNotFound("Artifact not found.")
    return _artifact(row)


def update_artifact(tx: Transaction, body: ArtifactUpdate, *, id: UUID) -> None:
    changes: dict[str, object] = {"updated": clock.to_us(clock.now())}
    for name in body.model_fields_set:
        value = getattr(body, name)
        changes[name] = value if name == "description" else json_in(value)
    columns = ", ".join(f"{name} = ?" for name in changes)
    if not tx.sql_count(f"UPDATE artifact SET {columns} WHERE id = ?", (*changes.values(), id.bytes)):
        raise ObjectNotFound("Artifact not found.")


def delete_artifact(tx: Transaction, *, id: UUID) -> None:
    if not tx.sql_count("DELETE FROM artifact WHERE id = ?", (id.bytes,)):
        raise ObjectNotFound("Artifact not found.")


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
    where, values = _conditions(body.artifacts)
    rows = tx.sql(
        f"{_SELECT} WHERE {where} ORDER BY {_ORDERS[body.sort]} LIMIT ? OFFSET ?", (*values, page_limit(body.limit), body.offset or 0)
    )
    return [_artifact(row) for row in rows]


def filter_latest_artifacts(tx: Transaction, body: FilterLatestArtifacts) -> list[ArtifactCollection]:
    where, values = _conditions(body.artifacts)
    rows = tx.sql(
        f"{_SELECT_LATEST} WHERE {_IS_LATEST} AND {where} ORDER BY {_LATEST_ORDERS[body.sort]} LIMIT ? OFFSET ?",
        (*values, page_limit(body.limit), body.offset or 0),
    )
    return [_collection(row) for row in rows]


def count_artifacts(tx: Transaction, body: CountArtifacts) -> int:
    where, values = _conditions(body.artifacts)
    return tx.sql(f"SELECT COUNT(*) FROM artifact a WHERE {where}", values)[0][0]


def count_latest_artifacts(tx: Transaction, body: CountLatestArtifacts) -> int:
    where, values = _conditions(body.artifacts)
    return tx.sql(f"SELECT COUNT(*) FROM artifact a WHERE {_IS_LATEST} AND {where}", values)[0][0]


OPERATIONS = {
    endpoints.CREATE_ARTIFACT: Operation(create_artifact, writes=True),
    endpoints.READ_ARTIFACT: Operation(read_artifact, writes=False),
    endpoints.READ_LATEST_ARTIFACT: Operation(read_latest_artifact, writes=False),
    endpoints.FILTER_ARTIFACTS: Operation(filter_artifacts, writes=False),
    endpoints.FILTER_LATEST_ARTIFACTS: Operation(filter_latest_artifacts, writes=False),
    endpoints.COUNT_ARTIFACTS: Operation(count_artifacts, writes=False),
    endpoints.COUNT_LATEST_ARTIFACTS: Operation(count_latest_artifacts, writes=False),
    endpoints.UPDATE_ARTIFACT: Operation(update_artifact, writes=True),
    endpoints.DELETE_ARTIFACT: Operation(delete_artifact, writes=True),
}
