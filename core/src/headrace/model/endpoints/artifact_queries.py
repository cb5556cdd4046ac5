"""Routes that list and count artifacts and their collections."""

from __future__ import annotations

from headrace.model.artifact_queries import CountArtifacts, CountLatestArtifacts, FilterArtifacts, FilterLatestArtifacts
from headrace.model.artifacts import Artifact, ArtifactCollection
from headrace.model.endpoints.base import Endpoint

FILTER_ARTIFACTS: Endpoint[list[Artifact]] = Endpoint("POST", "/artifacts/filter", "artifact_queries", FilterArtifacts, list[Artifact])
FILTER_LATEST_ARTIFACTS: Endpoint[list[ArtifactCollection]] = Endpoint(
    "POST", "/artifacts/latest/filter", "artifact_queries", FilterLatestArtifacts, list[ArtifactCollection]
)
COUNT_ARTIFACTS: Endpoint[int] = Endpoint("POST", "/artifacts/count", "artifact_queries", CountArtifacts, int)
COUNT_LATEST_ARTIFACTS: Endpoint[int] = Endpoint("POST", "/artifacts/latest/count", "artifact_queries", CountLatestArtifacts, int)
