"""Routes of artifacts. Those that list and count them are in `artifact_queries`."""

from __future__ import annotations

from headrace.model.artifacts import Artifact, ArtifactCreate, ArtifactUpdate
from headrace.model.endpoints.base import Endpoint

CREATE_ARTIFACT: Endpoint[Artifact] = Endpoint("POST", "/artifacts/", "artifacts", ArtifactCreate, Artifact, 201)
READ_ARTIFACT: Endpoint[Artifact] = Endpoint("GET", "/artifacts/{id}", "artifacts", returns=Artifact)
READ_LATEST_ARTIFACT: Endpoint[Artifact] = Endpoint("GET", "/artifacts/{key}/latest", "artifacts", returns=Artifact)
UPDATE_ARTIFACT: Endpoint[None] = Endpoint("PATCH", "/artifacts/{id}", "artifacts", ArtifactUpdate, status=204)
DELETE_ARTIFACT: Endpoint[None] = Endpoint("DELETE", "/artifacts/{id}", "artifacts", status=204)
