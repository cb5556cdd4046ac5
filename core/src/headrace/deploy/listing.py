"""All deployments that a server has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.client.bridge import drive
from headrace.client.connect import current_client

if TYPE_CHECKING:
    from uuid import UUID

    from headrace.model.deployments import Deployment

PAGE = 200


def deployments_by_name() -> dict[str, Deployment]:
    """Return all deployments by their full name, `flow/deployment`, in the order of the names."""
    from headrace.model.deployments import DeploymentQuery
    from headrace.model.endpoints.deployments import FILTER_DEPLOYMENTS
    from headrace.model.endpoints.flows import READ_FLOW

    client = current_client()
    found: list[Deployment] = []
    while True:
        page = drive(client.call(FILTER_DEPLOYMENTS, DeploymentQuery(offset=len(found), limit=PAGE)))
        found += page
        if len(page) < PAGE:
            break
    flows: dict[UUID, str] = {id: drive(client.call(READ_FLOW, id=id)).name for id in {one.flow_id for one in found}}
    return dict(sorted((f"{flows[one.flow_id]}/{one.name}", one) for one in found))
