"""Jobs that nobody watches: those of a worker that is gone are watched by the next of the pool, and any is stopped when its run is cancelled.

Which worker starts a run's job, and under which token, is noted in the run's labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from headrace.client.connect import current_client
from headrace.deploy.workers.base import KILL_GRACE_SECONDS
from headrace.deploy.workers.one_run import CANCELLED_MESSAGE, OneRun
from headrace.deploy.workers.remote_configuration import TOKEN_LABEL, token_left_behind
from headrace.model import clock
from headrace.model.endpoints.deployments import READ_DEPLOYMENT
from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
from headrace.model.endpoints.flows import READ_FLOW
from headrace.model.endpoints.workers import FILTER_WORKERS
from headrace.model.errors import HeadraceException, InfrastructureNotFound
from headrace.model.run_filters import FlowRunFilter, FlowRunFilterEndTime, FlowRunFilterState, FlowRunFilterStateType
from headrace.model.run_queries import FlowRunQuery
from headrace.model.states import Cancelled, StateType
from headrace.model.work_pools import WorkPoolFilter, WorkPoolFilterName
from headrace.model.workers import FilterWorkers, WorkerStatus

if TYPE_CHECKING:
    from headrace.deploy.workers.remote_job import RemoteJobWorker
    from headrace.model.flow_runs import FlowRun

LABEL = "headrace.worker"
"""The run's label that names the worker which watches its job; empty once that has seen it to its end."""
ENDED_AGO_MAX = timedelta(hours=1)
"""How long ago a run may have ended for its job to be looked after when its worker is found to be gone."""
PAGE = 200
UNDER_WAY = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


async def note_submission(worker: RemoteJobWorker[Any, Any, Any], run: FlowRun, token: str) -> None:
    """Note, before a run's job is submitted, that this worker does so and under which token; without, no other would go on with it."""
    await note(worker, run.id, {LABEL: worker.name, TOKEN_LABEL: token})
    if run.infrastructure_pid is not None:
        await worker.claims.note_infrastructure(run.id, None)  # that was another job


async def note(worker: RemoteJobWorker[Any, Any, Any], run_id: UUID, labels: dict[str, str]) -> None:
    """Add labels to a run. Where that fails, a warning is logged."""
    try:
        await worker.claims.label(run_id, labels)
    except HeadraceException as error:
        worker.get_logger().warning("Flow run %s could not be marked as watched by %r: %s", run_id, worker.name, error)


async def adopt_jobs(worker: RemoteJobWorker[Any, Any, Any], states: Sequence[StateType] = UNDER_WAY) -> None:
    """Take on every job of the pool that nobody has: its worker gives no signs of life, or is this one and has let go of it.

    When a worker is found to be gone, that goes for jobs too whose runs have ended since: something may be left of them.
    """
    if not worker.takes_runs:
        return
    found = await _runs_of(worker, FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states)))))
    under_way = [run for run in found if run.labels.get(LABEL) and (run.infrastructure_pid or token_left_behind(run))]
    if states == UNDER_WAY:
        worker.left_alone &= {run.id for run in under_way}
    left = [run for run in under_way if not worker.has_run(run.id) and (run.id not in worker.left_alone or _is_cancelling(run))]
    if not left and states != UNDER_WAY:
        return
    workers = await current_client().call(FILTER_WORKERS, FilterWorkers(), work_pool_name=worker.work_pool.name)
    others = {one.name for one in workers if one.status is WorkerStatus.ONLINE} - {worker.name}
    if states == UNDER_WAY:
        gone = {one.name for one in workers} - others
        left += await _ended_unwatched(worker, gone - worker.known_gone)
        worker.known_gone = gone
    for run in left:
        if run.labels[LABEL] not in others and not worker.has_run(run.id):
            worker.begin_adopted(AdoptedRun(worker, run, worker.get_flow_run_logger(run)))


async def _ended_unwatched(worker: RemoteJobWorker[Any, Any, Any], names: Set[str]) -> list[FlowRun]:
    """Return runs that ended a short time ago, and whose jobs these workers did not see to their end."""
    if not names:
        return []
    final = FlowRunFilterStateType(any_=[StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED])
    since = FlowRunFilterEndTime(after_=clock.now() - ENDED_AGO_MAX)
    found = await _runs_of(worker, FlowRunFilter(state=FlowRunFilterState(type=final), end_time=since))
    return [run for run in found if run.labels.get(LABEL) in names and run.infrastructure_pid and not worker.has_run(run.id)]


async def _runs_of(worker: RemoteJobWorker[Any, Any, Any], wanted: FlowRunFilter) -> list[FlowRun]:
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[worker.work_pool.name]))
    found: list[FlowRun] = []
    while True:
        query = FlowRunQuery(flow_runs=wanted, work_pools=pool, offset=len(found), limit=PAGE)
        page = await current_client().call(FILTER_FLOW_RUNS, query)
        found += page
        if len(page) < PAGE:
            return found


def _is_cancelling(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_cancelling()


class AdoptedRun(OneRun):
    """A run whose job was started, and that nobody watches any more."""

    async def conduct_adopted(self) -> None:
        """Watch the job to its end and say what became of the run; a job that is not for watching is stopped if its run is cancelled."""
        worker, run = cast("RemoteJobWorker[Any, Any, Any]", self.worker), self.flow_run
        identifier = run.infrastructure_pid
        worker.left_alone.add(run.id)  # once is enough, whatever comes of it
        try:
            configuration = await self._configured()
            identifier = identifier or await self._sought(configuration)
            if identifier is None:
                return
            if worker.is_watched(configuration):
                await worker.call(worker.poll_job, identifier, configuration)
        except InfrastructureNotFound:
            await self._gone(str(identifier))
            return
        except Exception as error:  # noqa: BLE001  # templates, blocks and SDKs raise anything; the next time it may work
            self._logger.warning("The job %s of flow run %r cannot be watched now: %s: %s", identifier or "", run.name, type(error).__name__, error)
            worker.left_alone.discard(run.id)
            return
        self.configuration = configuration
        self.status.started(identifier)
        if not worker.is_watched(configuration):
            if _is_cancelling(run):
                await self.cancel(KILL_GRACE_SECONDS)
            return
        self._logger.info("The worker %r watches the job %s from now on; nobody else does.", worker.name, identifier)
        await note(worker, run.id, {LABEL: worker.name})
        stopping = asyncio.ensure_future(self._stop_if_cancelled())
        try:
            result = await worker.watch(identifier, run, configuration)
        except Exception:  # whatever an SDK raises
            self._logger.exception("Lost sight of the infrastructure of flow run %r; the run may go on.", run.name)
            worker.left_alone.discard(run.id)
            return
        finally:
            await asyncio.gather(stopping, return_exceptions=True)
        await self._conclude(result)

    async def _configured(self) -> Any:
        run = self.flow_run
        deployment = await current_client().call(READ_DEPLOYMENT, id=run.deployment_id) if run.deployment_id is not None else None
        return await self.worker.configuration_of(run, deployment, await current_client().call(READ_FLOW, id=run.flow_id))

    async def _stop_if_cancelled(self) -> None:
        """Stop what was cancelled while nobody watched it: no event comes for that any more."""
        found = await self._claims.read(self.id)
        if found is not None and _is_cancelling(found):
            await self.cancel(KILL_GRACE_SECONDS)

    async def _sought(self, configuration: Any) -> str | None:
        """Return what the service calls the job, when its worker did not live to note it; None when there is none, or none yet."""
        worker = cast("RemoteJobWorker[Any, Any, Any]", self.worker)
        found = await worker.call(worker.find_job, configuration, configuration.token)
        if found is not None:
            await self._claims.note_infrastructure(self.id, found)
        elif _is_cancelling(self.flow_run):
            await self._claims.end(self.id, Cancelled(message=CANCELLED_MESSAGE))
        else:
            worker.left_alone.discard(self.id)  # it is looked for again, until the server schedules the run again
        return found

    async def _gone(self, identifier: str) -> None:
        """Leave a run to itself whose job is gone: it may have been run again elsewhere, and if not, the server misses its signs of life."""
        state = self.flow_run.state
        if state is not None and state.is_cancelling():
            await self._claims.end(self.id, Cancelled(message=CANCELLED_MESSAGE))
        elif state is None or not state.is_final():
            self._logger.warning("The job %s of flow run %r is gone; nothing is known of its end.", identifier, self.flow_run.name)
