"""Deployments listed, counted, paged and deleted together; the queues that hand out their runs."""

from __future__ import annotations

from uuid import UUID

from headrace.model.deployments import (
    Deployment,
    DeploymentBulkDelete,
    DeploymentBulkDeleteResponse,
    DeploymentPageQuery,
    DeploymentPaginationResponse,
    DeploymentQuery,
    DeploymentSort,
)
from headrace.model.endpoints import deployments as endpoints
from headrace.model.run_queries import RunScope
from headrace.model.work_queues import WorkQueue
from headrace.operations.deployments.deployment_rows import DEPLOYMENTS, delete_deployment_row, deployments_out, find_deployment, lock_deployment
from headrace.operations.pages import page_limit, pages_of
from headrace.operations.pools.pool_rows import QUEUES, queue_out
from headrace.operations.runs.run_conditions import scope_of_deployments
from headrace.operations.table import Operation
from headrace.store.database import Transaction

_ORDERS = {
    DeploymentSort.CREATED_DESC: "d.created DESC, d.id DESC",
    DeploymentSort.UPDATED_DESC: "d.updated DESC, d.id DESC",
    DeploymentSort.NAME_ASC: "d.name, d.id",
    DeploymentSort.NAME_DESC: "d.name DESC, d.id DESC",
}


def filter_deployments(tx: Transaction, body: DeploymentQuery) -> list[Deployment]:
    """List deployments."""
    return _list(tx, body, body.sort, page_limit(body.limit), body.offset)


def count_deployments(tx: Transaction, body: RunScope) -> int:
    """Count deployments."""
    where = scope_of_deployments(body, "d")
    return tx.sql(f"SELECT COUNT(*) FROM deployment d WHERE {where.joined()}", where.values)[0][0]


def paginate_deployments(tx: Transaction, body: DeploymentPageQuery) -> DeploymentPaginationResponse:
    """List one page of deployments and say how many there are."""
    limit = page_limit(body.limit)
    count = count_deployments(tx, body)
    results = _list(tx, body, body.sort, limit, (body.page - 1) * limit)
    return DeploymentPaginationResponse.model_construct(results=results, count=count, limit=limit, pages=pages_of(count, limit), page=body.page)


def _list(tx: Transaction, scope: RunScope, sort: DeploymentSort, limit: int, offset: int) -> list[Deployment]:
    where = scope_of_deployments(scope, "d")
    text = f"{DEPLOYMENTS} WHERE {where.joined()} ORDER BY {_ORDERS[sort]} LIMIT ? OFFSET ?"
    return deployments_out(tx, tx.sql(text, (*where.values, limit, offset)))


def bulk_delete_deployments(tx: Transaction, body: DeploymentBulkDelete) -> DeploymentBulkDeleteResponse:
    """Delete the deployments that match, at most `limit`, with their schedules and the coming runs that they made."""
    found = _list(tx, RunScope(deployments=body.deployments), DeploymentSort.NAME_ASC, body.limit, 0)
    for deployment in found:
        lock_deployment(tx, deployment.id)
        delete_deployment_row(tx, deployment)
    return DeploymentBulkDeleteResponse(deleted=[deployment.id for deployment in found])


def work_queue_check(tx: Transaction, *, id: UUID) -> list[WorkQueue]:
    """Return the queues that could hand out runs of a deployment: those whose filter, if they have one, lets it through.

    Raises `ObjectNotFound`. A deployment's runs wait in its own queue; this tells what queues of the oldest kind would see of it.
    """
    deployment = find_deployment(tx, id)
    tags = set(deployment.tags)
    return [queue for queue in map(queue_out, tx.sql(f"{QUEUES} ORDER BY q.name, q.id")) if _sees(queue, id, tags)]


def _sees(queue: WorkQueue, id: UUID, tags: set[str]) -> bool:
    wanted = queue.filter
    return wanted is None or (tags.issuperset(wanted.tags or ()) and (not wanted.deployment_ids or id in wanted.deployment_ids))


OPERATIONS = {
    endpoints.FILTER_DEPLOYMENTS: Operation(filter_deployments, writes=False),
    endpoints.COUNT_DEPLOYMENTS: Operation(count_deployments, writes=False),
    endpoints.PAGINATE_DEPLOYMENTS: Operation(paginate_deployments, writes=False),
    endpoints.BULK_DELETE_DEPLOYMENTS: Operation(bulk_delete_deployments, writes=True),
    endpoints.WORK_QUEUE_CHECK: Operation(work_queue_check, writes=False),
}
