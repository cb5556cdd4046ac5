"""What a worker asks the server about its pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from headrace.client.connect import current_client
from headrace.client.orchestration import HeadraceClient
from headrace.deploy.workers.configuration import merged
from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
from headrace.model.errors import ObjectAlreadyExists, ObjectNotFound
from headrace.model.run_filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from headrace.model.run_queries import FlowRunQuery
from headrace.model.states import StateType
from headrace.model.work_pools import WorkPool, WorkPoolCreate

IDS_AT_ONCE = 200


async def find_or_create(client: HeadraceClient, name: str, type: str, template: Callable[[], dict[str, Any]] | None) -> WorkPool | None:
    """Return the pool of that name; a missing one is created of `type` with `template()`, or is None without a template."""
    try:
        return await client.read_work_pool(name)
    except ObjectNotFound:
        if template is None:
            return None
    try:
        return await client.create_work_pool(WorkPoolCreate(name=name, type=type, base_job_template=template()))
    except ObjectAlreadyExists:  # another worker was faster
        return await client.read_work_pool(name)


def job_variables(of_deployment: dict[str, Any], of_run: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of one run: those of its deployment, replaced by its own."""
    return merged(of_deployment, of_run)


async def cancelling_runs(ids: Sequence[UUID]) -> list[UUID]:
    """Return those of these runs that are being cancelled."""
    found: list[UUID] = []
    for first in range(0, len(ids), IDS_AT_ONCE):
        wanted = FlowRunFilter(
            id=FlowRunFilterId(any_=list(ids[first : first + IDS_AT_ONCE])),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING])),
        )
        found += [run.id for run in await current_client().call(FILTER_FLOW_RUNS, FlowRunQuery(flow_runs=wanted, limit=IDS_AT_ONCE))]
    return found
