"""Jobs whose worker is gone: the next worker of the pool watches them. Which worker has a run is noted in the run's labels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from headrace.client.connect import current_client
from headrace.deploy.workers.base import KILL_GRACE_SECONDS
from headrace.deploy.workers.one_run import OneRun
from headrace.model.endpoints.deployments import READ_DEPLOYMENT
from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS, UPDATE_FLOW_RUN_LABELS
from headrace.model.endpoints.flows import READ_FLOW
from headrace.model.endpoints.workers import FILTER_WORKERS
from headrace.model.errors import HeadraceException
from headrace.model.run_filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from headrace.model.run_queries import FlowRunQuery
from headrace.model.states import StateType
from headrace.model.work_pools import WorkPoolFilter, WorkPoolFilterName
from headrace.model.workers import FilterWorkers, WorkerStatus

if TYPE_CHECKING:
    from headrace.deploy.workers.remote_job import RemoteJobWorker
    from headrace.model.flow_runs import FlowRun

LABEL = "headrace.worker"
"""The run's label that names the worker which watches its job."""
PAGE = 200
_UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


async def note_worker(worker: RemoteJobWorker[Any, Any, Any], run_id: UUID) -> None:
    """Note that this worker watches a run's job."""
    await current_client().call(UPDATE_FLOW_RUN_LABELS, {LABEL: worker.name}, id=run_id)


async def adopt_jobs(worker: RemoteJobWorker[Any, Any, Any]) -> None:
    """Begin to watch every job of the pool whose worker gives no signs of life, or had this worker's name."""
    if not worker.takes_runs:
        return
    left = [run for run in await _under_way(worker.work_pool.name) if run.infrastructure_pid and LABEL in run.labels and not worker.has_run(run.id)]
    if not left:
        return
    found = await current_client().call(FILTER_WORKERS, FilterWorkers(), work_pool_name=worker.work_pool.name)
    alive = {one.name for one in found if one.status is WorkerStatus.ONLINE} - {worker.name}
    for run in left:
        if run.labels[LABEL] not in alive:
            await note_worker(worker, run.id)
            worker.begin_adopted(AdoptedRun(worker, run, worker.get_flow_run_logger(run)))


async def _under_way(pool: str) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        query = FlowRunQuery(
            flow_runs=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY))),
            work_pools=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            offset=len(found),
            limit=PAGE,
        )
        page = await current_client().call(FILTER_FLOW_RUNS, query)
        found += page
        if len(page) < PAGE:
            return found


class AdoptedRun(OneRun):
    """A run whose job another worker started, which is gone."""

    async def conduct_adopted(self) -> None:
        """Watch the job to its end and say what became of the run."""
        run = self.flow_run
        identifier = str(run.infrastructure_pid)
        try:
            deployment = await current_client().call(READ_DEPLOYMENT, id=run.deployment_id) if run.deployment_id is not None else None
            flow = await current_client().call(READ_FLOW, id=run.flow_id)
            configuration = await self.worker.configuration_of(run, deployment, flow)
        except (HeadraceException, ValueError) as error:
            self._logger.warning("The job of flow run %r is not watched any more: %s", run.name, error)
            return
        self._logger.info("The worker %r watches the job %s from now on; the worker that started it is gone.", self.worker.name, identifier)
        self.configuration = configuration
        self.status.started(identifier)
        stopping = asyncio.ensure_future(self._stop_if_cancelled())
        try:
            result = await cast("RemoteJobWorker[Any, Any, Any]", self.worker).watch(identifier, run, configuration)
        except Exception:  # whatever an SDK raises
            self._logger.exception("Lost sight of the infrastructure of flow run %r; the run may go on.", run.name)
            return
        finally:
            await asyncio.gather(stopping, return_exceptions=True)
        await self._conclude(str(result.identifier), result.status_code)

    async def _stop_if_cancelled(self) -> None:
        """Stop what was cancelled while nobody watched it: no event comes for that any more."""
        found = await self._claims.read(self.id)
        if found is not None and found.state is not None and found.state.is_cancelling():
            await self.cancel(KILL_GRACE_SECONDS)
