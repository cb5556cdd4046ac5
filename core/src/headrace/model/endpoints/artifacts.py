"""Routes of artifacts and of their collections."""

from __future__ import annotations

from headrace.model.artifacts import (
    Artifact,
    ArtifactCollection,
    ArtifactCreate,
    ArtifactUpdate,
    CountArtifacts,
    CountLatestArtifacts,
    FilterArtifacts,
    FilterLatestArtifacts,
)
from headrace.model.endpoints.base import Endpoint

CREATE_ARTIFACT: Endpoint[Artifact] = Endpoint("POST", "/artifacts/", "artifacts", ArtifactCreate, Artifact)
READ_ARTIFACT: Endpoint[Artifact] = Endpoint("GET", "/artifacts/{id}", "artifacts", returns=Artifact)
READ_LATEST_ARTIFACT: Endpoint[Artifact] = Endpoint("GET", "/artifacts/{key}/latest", "artifacts", returns=Artifact)
FILTER_ARTIFACTS: Endpoint[list[Artifact]] = Endpoint("POST", "/artifacts/filter", "artifacts", FilterArtifacts, list[Artifact])
FILTER_LATEST_ARTIFACTS: Endpoint[list[ArtifactCollection]] = Endpoint(
    "POST", "/artifacts/latest/filter", "artifacts", FilterLatestArtifacts, list[ArtifactCollection]
)
COUNT_ARTIFACTS: Endpoint[int] = Endpoint("POST", "/artifacts/count", "artifacts", CountArtifacts, int)
COUNT_LATEST_ARTIFACTS: Endpoint[int] = Endpoint("POST", "/artifacts/latest/count", "artifacts", CountLatestArtifacts, int)
UPDATE_ARTIFACT: Endpoint[None] = Endpoint("PATCH", "/artifacts/{id}", "artifacts", ArtifactUpdate, status=204)
DELETE_ARTIFACT: Endpoint[None] = Endpoint("DELETE", "/artifacts/{id}", "artifacts", status=204)
