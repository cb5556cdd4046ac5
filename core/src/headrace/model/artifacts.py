"""Artifacts: what runs publish for people to look at. The latest version of each key is its collection."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator

from headrace.model.base import Action, Record
from headrace.model.name_checks import raise_on_name_alphanumeric_dashes_only


def _checked_key(key: str | None) -> str | None:
    return raise_on_name_alphanumeric_dashes_only(key, "Artifact key")


ArtifactKey = Annotated[str | None, AfterValidator(_checked_key)]


class Artifact(Record):
    """One stored version of an artifact."""

    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactCollection(Record):
    """All versions of a key, shown by the latest one, whose id is `latest_id`."""

    key: str
    latest_id: UUID
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactCreate(Action):
    """An artifact to be stored. Without a key it belongs to its run alone and appears in no list of artifacts."""

    key: ArtifactKey = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactUpdate(Action):
    """What changes in an artifact; fields that are not given stay."""

    data: Any = None
    description: str | None = None
    metadata_: dict[str, str] | None = None
