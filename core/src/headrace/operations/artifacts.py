"""Artifacts: stored, read, changed, deleted. The latest version of a key is the one with the greatest id, for ids grow with time."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.artifacts import Artifact, ArtifactCreate, ArtifactUpdate
from headrace.model.endpoints import artifacts as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.operations.table import Operation
from headrace.store.codec import id_in, id_out, json_in, json_out
from headrace.store.database import Row, Transaction

ARTIFACT_COLUMNS = "a.id, a.created, a.updated, a.key, a.type, a.description, a.data, a.metadata_, a.flow_run_id, a.task_run_id"
SELECT_ARTIFACTS = f"SELECT {ARTIFACT_COLUMNS} FROM artifact a"


def values_out(row: Row) -> dict[str, Any]:
    """Read what a row of `ARTIFACT_COLUMNS` says beside its id and making time."""
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


def artifact_out(row: Row) -> Artifact:
    """Read a row of `ARTIFACT_COLUMNS`."""
    return Artifact(id=UUID(bytes=row[0]), created=clock.from_us(row[1]), **values_out(row))


def create_artifact(tx: Transaction, body: ArtifactCreate) -> Artifact:
    """Store a new version of an artifact."""
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
    made = Artifact(id=artifact_id, created=now, updated=now, **body.model_dump())
    _tell_collection(tx, made)
    return made


def read_artifact(tx: Transaction, *, id: UUID) -> Artifact:
    """Return one version of an artifact. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{SELECT_ARTIFACTS} WHERE a.id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound("Artifact not found.")
    return artifact_out(row)


def read_latest_artifact(tx: Transaction, *, key: str) -> Artifact:
    """Return the latest version of a key. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{SELECT_ARTIFACTS} WHERE a.key = ? ORDER BY a.id DESC LIMIT 1", (key,))
    if row is None:
        raise ObjectNotFound("Artifact not found.")
    return artifact_out(row)


def update_artifact(tx: Transaction, body: ArtifactUpdate, *, id: UUID) -> None:
    """Change what is given of one version. Raises `ObjectNotFound`."""
    changes: dict[str, object] = {"updated": clock.to_us(clock.now())}
    for name in body.model_fields_set:
        value = getattr(body, name)
        changes[name] = value if name == "description" else json_in(value)
    columns = ", ".join(f"{name} = ?" for name in changes)
    if not tx.sql_count(f"UPDATE artifact SET {columns} WHERE id = ?", (*changes.values(), id.bytes)):
        raise ObjectNotFound("Artifact not found.")
    if tx.caller.is_server:
        _tell_collection(tx, read_artifact(tx, id=id))


def delete_artifact(tx: Transaction, *, id: UUID) -> None:
    """Delete one version. Raises `ObjectNotFound`."""
    gone = read_artifact(tx, id=id)
    _tell_collection(tx, gone, is_going=True)
    tx.sql_count("DELETE FROM artifact WHERE id = ?", (id.bytes,))


def _tell_collection(tx: Transaction, version: Artifact, *, is_going: bool = False) -> None:
    """Tell what `version`, made, changed or about to go, means for the collection of its key: nothing if a newer one is shown."""
    if version.key is None or not tx.caller.is_server:
        return
    from headrace.operations.events.emitting import related_resource
    from headrace.operations.events.lifecycle import tell

    newest = tx.sql("SELECT id FROM artifact WHERE key = ? ORDER BY id DESC LIMIT 2", (version.key,))
    if newest[0][0] != version.id.bytes:
        return
    ((first,),) = tx.sql("SELECT id FROM artifact WHERE key = ? ORDER BY id LIMIT 1", (version.key,))
    is_only = len(newest) == 1
    happened = "deleted" if is_going and is_only else "created" if is_only and version.updated == version.created else "updated"
    shown = read_artifact(tx, id=UUID(bytes=newest[1][0])) if is_going and not is_only else version
    collection_id = UUID(bytes=first)
    related = [related_resource("latest", "artifact", shown.id)]
    if shown.flow_run_id is not None:
        related.append(related_resource("flow-run", "flow-run", shown.flow_run_id))
    if shown.task_run_id is not None:
        related.append(related_resource("task-run", "task-run", shown.task_run_id))
    payload = {**shown.model_dump(mode="json", exclude={"data"}), "id": collection_id, "latest_id": shown.id}
    tell(tx, "artifact-collection", happened, shown.model_copy(update={"id": collection_id}), name=version.key, related=related, payload=payload)


OPERATIONS = {
    endpoints.CREATE_ARTIFACT: Operation(create_artifact, writes=True),
    endpoints.READ_ARTIFACT: Operation(read_artifact, writes=False),
    endpoints.READ_LATEST_ARTIFACT: Operation(read_latest_artifact, writes=False),
    endpoints.UPDATE_ARTIFACT: Operation(update_artifact, writes=True),
    endpoints.DELETE_ARTIFACT: Operation(delete_artifact, writes=True),
}
