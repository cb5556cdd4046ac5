"""Filters, orders and bodies of the routes that list and count artifacts."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from headrace.model.base import Action
from headrace.model.filters import AnyId, Operator
from headrace.model.run_queries import RunScope


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


class CountArtifacts(RunScope):
    """Body of the count of artifacts: of those that match their own filter and whose run matches the others."""

    artifacts: ArtifactFilter | None = None


class FilterArtifacts(CountArtifacts):
    """Body of the list of artifacts."""

    sort: ArtifactSort = ArtifactSort.ID_DESC
    offset: int | None = Field(default=0, ge=0)
    limit: int | None = None


class CountLatestArtifacts(RunScope):
    """Body of the count of collections."""

    artifacts: ArtifactCollectionFilter | None = None


class FilterLatestArtifacts(CountLatestArtifacts):
    """Body of the list of collections."""

    sort: ArtifactCollectionSort = ArtifactCollectionSort.ID_DESC
    offset: int | None = Field(default=0, ge=0)
    limit: int | None = None
