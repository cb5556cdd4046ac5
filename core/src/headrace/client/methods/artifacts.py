"""Documented client methods on artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from headrace.model.endpoints import artifacts as endpoints

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.artifact_queries import ArtifactCollectionFilter, ArtifactCollectionSort, ArtifactFilter, ArtifactSort
    from headrace.model.artifacts import Artifact, ArtifactCollection, ArtifactCreate, ArtifactUpdate
    from headrace.model.run_filters import FlowRunFilter, TaskRunFilter


class ArtifactMethods:
    """Artifacts and their collections, for a client that has `call`."""

    async def create_artifact(self: Client, artifact: ArtifactCreate) -> Artifact:
        """Store an artifact."""
        return await self.call(endpoints.CREATE_ARTIFACT, artifact)

    async def update_artifact(self: Client, artifact_id: UUID, artifact: ArtifactUpdate) -> None:
        """Change what is given of an artifact. Raises `ObjectNotFound`."""
        await self.call(endpoints.UPDATE_ARTIFACT, artifact, id=artifact_id)

    async def delete_artifact(self: Client, artifact_id: UUID) -> None:
        """Delete one version of an artifact. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_ARTIFACT, id=artifact_id)

    async def read_artifacts(
        self: Client,
        *,
        artifact_filter: ArtifactFilter | None = None,
        flow_run_filter: FlowRunFilter | None = None,
        task_run_filter: TaskRunFilter | None = None,
        sort: ArtifactSort | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Artifact]:
        """Return the artifacts that match every filter, the newest first unless `sort` says otherwise; at most `limit` (greatest: 200)."""
        from headrace.model.artifact_queries import ArtifactSort, FilterArtifacts
        from headrace.model.endpoints.artifact_queries import FILTER_ARTIFACTS

        body = FilterArtifacts(
            artifacts=artifact_filter,
            flow_runs=flow_run_filter,
            task_runs=task_run_filter,
            sort=sort or ArtifactSort.ID_DESC,
            limit=limit,
            offset=offset,
        )
        return await self.call(FILTER_ARTIFACTS, body)

    async def read_latest_artifacts(
        self: Client,
        *,
        artifact_filter: ArtifactCollectionFilter | None = None,
        flow_run_filter: FlowRunFilter | None = None,
        task_run_filter: TaskRunFilter | None = None,
        sort: ArtifactCollectionSort | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ArtifactCollection]:
        """Return the collections whose latest version matches every filter; see `read_artifacts`."""
        from headrace.model.artifact_queries import ArtifactCollectionSort, FilterLatestArtifacts
        from headrace.model.endpoints.artifact_queries import FILTER_LATEST_ARTIFACTS

        body = FilterLatestArtifacts(
            artifacts=artifact_filter,
            flow_runs=flow_run_filter,
            task_runs=task_run_filter,
            sort=sort or ArtifactCollectionSort.ID_DESC,
            limit=limit,
            offset=offset,
        )
        return await self.call(FILTER_LATEST_ARTIFACTS, body)
