"""Artifacts: what runs publish for people to look at. The latest version of each key is its collection."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from headrace.model.base import Action, Model, Record
from headrace.model.filters import AnyId, Operator

_KEY = re.compile(r"[a-z0-9-]*")


def _checked_key(key: str | None) -> str | None:
    if key is not None and not _KEY.fullmatch(key):
        raise ValueError("Artifact key must only contain lowercase letters, numbers, and dashes.")
    return key


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


class ArtifactFilterId(AnyId):
    """By id."""


class ArtifactFilterKey(Action):
    """By key: one of several, containing a text, or having one at all."""

    any_: list[str] | None = None
    like_: str | None = None
    exists_: bool | None = None


class ArtifactFilterFlowRunId(AnyId):
    """By the flow run that made it."""


class ArtifactFilterTaskRunId(AnyId):
    """By the task run that made it."""


class ArtifactFilterType(Action):
    """By type: one of several, or none of several."""

    any_: list[str] | None = None
    not_any_: list[str] | None = None


class ArtifactFilter(Action):
    """Which artifacts; an empty one means all."""

    operator: Operator = Operator.and_
    id: ArtifactFilterId | None = None
    key: ArtifactFilterKey | None = None
    flow_run_id: ArtifactFilterFlowRunId | None = None
    task_run_id: ArtifactFilterTaskRunId | None = None
    type: ArtifactFilterType | None = None


class ArtifactCollectionFilterLatestId(AnyId):
    """By the id of the latest version."""


class ArtifactCollectionFilterKey(ArtifactFilterKey):
    """By key: one of several, containing a text, or having one at all."""


class ArtifactCollectionFilterFlowRunId(AnyId):
    """By the flow run that made the latest version."""


class ArtifactCollectionFilterTaskRunId(AnyId):
    """By the task run that made the latest version."""


class ArtifactCollectionFilterType(ArtifactFilterType):
    """By type: one of several, or none of several."""


class ArtifactCollectionFilter(Action):
    """Which collections; an empty one means all."""

    operator: Operator = Operator.and_
    latest_id: ArtifactCollectionFilterLatestId | None = None
    key: ArtifactCollectionFilterKey | None = None
    flow_run_id: ArtifactCollectionFilterFlowRunId | None = None
    task_run_id: ArtifactCollectionFilterTaskRunId | None = None
    type: ArtifactCollectionFilterType | None = None


class ArtifactSort(StrEnum):
    """Orders of a list of artifacts."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    ID_DESC = "ID_DESC"
    KEY_DESC = "KEY_DESC"
    KEY_ASC = "KEY_ASC"


class ArtifactCollectionSort(StrEnum):
    """Orders of a list of collections."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    ID_DESC = "ID_DESC"
    KEY_DESC = "KEY_DESC"
    KEY_ASC = "KEY_ASC"


class CountArtifacts(Model):
    """Body of the count of artifacts."""

    artifacts: ArtifactFilter | None = None


class FilterArtifacts(CountArtifacts):
    """Body of the list of artifacts."""

    sort: ArtifactSort = ArtifactSort.ID_DESC
    offset: int | None = Field(0, ge=0)
    limit: int | None = None


class CountLatestArtifacts(Model):
    """Body of the count of collections."""

    artifacts: ArtifactCollectionFilter | None = None


class FilterLatestArtifacts(CountLatestArtifacts):
    """Body of the list of collections."""

    sort: ArtifactCollectionSort = ArtifactCollectionSort.ID_DESC
    offset: int | None = Field(0, ge=0)
    limit: int | None = None
