"""One run on its way through a worker: taken, configured, started, watched to its end. The order of things is the order of the lines."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from headrace.client.connect import current_client
from headrace.deploy.workers.statuses import explain
from headrace.model.endpoints.deployments import READ_DEPLOYMENT
from headrace.model.endpoints.flows import READ_FLOW
from headrace.model.errors import InfrastructureNotAvailable, InfrastructureNotFound, ObjectNotFound
from headrace.model.orchestration import SetStateStatus
from headrace.model.states import Cancelled, Crashed, InfrastructurePending

if TYPE_CHECKING:
    from headrace.deploy.workers.base import AnyWorker
    from headrace.deploy.workers.configuration import BaseJobConfiguration, BaseWorkerResult
    from headrace.model.deployments import Deployment
    from headrace.model.flow_runs import FlowRun
    from headrace.model.flows import Flow

NEVER_BEGAN_MESSAGE = "The process of this flow run ended well, but never began the run. The command of the job may be one that does not run it."
CANCELLED_MESSAGE = "The flow run was cancelled, and its infrastructure was stopped."


class Started:
    """What `run` of a worker reports the identifier of its infrastructure to, as soon as that is started: `task_status.started(identifier)`."""

    def __init__(self) -> None:
        self.identifier: str | None = None
        self.is_started = asyncio.Event()

    def started(self, value: Any = None) -> None:
        """Note that the infrastructure is started, and what it is known by: with that it can be stopped."""
        self.identifier = None if value is None else str(value)
        self.is_started.set()


class OneRun:
    """A run that a worker has, or is about to take."""

    def __init__(self, worker: AnyWorker, flow_run: FlowRun, logger: logging.LoggerAdapter[Any]) -> None:
        self.worker = worker
        self.flow_run = flow_run
        self.status = Started()
        self.configuration: BaseJobConfiguration | None = None
        self.is_cancelled = False
        self._logger = logger
        self._claims = worker.claims
        self._submitted: Any = None

    @property
    def id(self) -> UUID:
        """The flow run's id."""
        return self.flow_run.id

    async def conduct(self) -> None:
        """See the run through. Neither raises nor leaves the run in between, unless the worker is cut off from the server."""
        try:
            found = await self._take()
            if found is None:
                return
            prepared = await self._prepare(*found)
            if prepared is not None:
                await self._watch(prepared)
        finally:
            self._claims.forget(self.id)

    async def conduct_submitted(self, configuration: BaseJobConfiguration) -> None:
        """See a run through that was given to this worker directly, with its configuration."""
        try:
            state = self.flow_run.state
            if state is not None and state.is_scheduled() and (await self._claims.take(self.flow_run)).status is not SetStateStatus.ACCEPT:
                return
            await self._claims.tell(self.id, InfrastructurePending())
            self.configuration = configuration
            await self._watch(configuration)
        finally:
            self._claims.forget(self.id)

    async def _take(self) -> tuple[Deployment | None, Flow] | None:
        """Take the run and read what it belongs to. None when another has it, or there is nothing to run."""
        reading = asyncio.gather(_deployment(self.flow_run), current_client().call(READ_FLOW, id=self.flow_run.flow_id), return_exceptions=True)
        answer = await self._claims.take(self.flow_run)
        deployment, flow = await reading
        if isinstance(deployment, ObjectNotFound):
            message = "The deployment of this flow run was deleted, so nothing says how to run it."
            await self._claims.end(self.id, Cancelled(message=message))
            return None
        if answer.status is not SetStateStatus.ACCEPT:
            self._logger.debug("Flow run %r is not taken: %s", self.flow_run.name, getattr(answer.details, "reason", None) or answer.status)
            return None
        for problem in (deployment, flow):
            if isinstance(problem, BaseException):
                await self._crash(problem)
                return None
        return cast("tuple[Deployment | None, Flow]", (deployment, flow))

    async def _prepare(self, deployment: Deployment | None, flow: Flow) -> BaseJobConfiguration | None:
        """Make the configuration and tell that the infrastructure is on its way. None when that is as far as it goes."""
        try:
            configuration = await self.worker.configuration_of(self.flow_run, deployment, flow)
        except Exception as error:  # noqa: BLE001  # a template, a block or a plugin may raise anything
            await self._crash(error)
            return None
        if self.worker.is_stopping:
            await self._claims.give_back(self.id, f"The worker {self.worker.name!r} stopped before it began to start this flow run.")
            return None
        answer = await self._claims.tell(self.id, InfrastructurePending())
        if answer.status is SetStateStatus.ABORT or answer.state is None or not answer.state.is_pending():
            state = answer.state
            if state is not None and state.is_cancelling():
                await self._claims.end(self.id, Cancelled(message="The flow run was cancelled before it was started."))
            return None
        self.configuration = configuration
        return configuration

    async def _watch(self, configuration: BaseJobConfiguration) -> None:
        """Start the infrastructure, note what it is known by, wait for its end and say what became of it."""
        noting = asyncio.ensure_future(self._note_started())
        try:
            result = await self.worker.run(flow_run=self.flow_run, configuration=configuration, task_status=self.status)
        except Exception as error:  # infrastructure may fail with anything
            if not self.status.is_started.is_set():
                await self._crash(error)
            else:
                self._logger.exception("Lost sight of the infrastructure of flow run %r; the run may go on.", self.flow_run.name)
            return
        finally:
            if not self.status.is_started.is_set():
                noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)
        if not self.status.is_started.is_set():
            self._logger.error(
                "The worker type %r did not say that it started flow run %r (call task_status.started), so that run could not be cancelled.",
                self.worker.type,
                self.flow_run.name,
            )
        await self._conclude(result)

    async def _note_started(self) -> None:
        await self.status.is_started.wait()
        self._submitted = await self.worker.tell("submitted-flow-run", self.flow_run)
        if self.status.identifier is not None:
            await self._claims.note_infrastructure(self.id, self.status.identifier)

    async def _conclude(self, result: BaseWorkerResult) -> None:
        status_code = result.status_code
        told = {"prefect.infrastructure.identifier": str(result.identifier), "prefect.infrastructure.status-code": str(status_code)}
        await self.worker.tell("executed-flow-run", self.flow_run, told, follows=self._submitted)
        if self.is_cancelled:
            await self._claims.end(self.id, Cancelled(message=CANCELLED_MESSAGE))
            return
        if status_code == 0 and not self.worker.sees_the_end_of(self.configuration):
            return
        found = await self._claims.read(self.id)
        if found is None or found.state is None or found.state.is_final() or found.state.is_paused() or found.state.is_scheduled():
            return
        if found.state.is_cancelling():
            await self._claims.end(self.id, Cancelled(message=CANCELLED_MESSAGE))
            return
        if status_code:
            message = f"Flow run infrastructure exited with non-zero status code {status_code}. {result.reason or explain(status_code)}".rstrip()
        elif found.state.is_pending():
            message = NEVER_BEGAN_MESSAGE
        else:
            return
        await self._claims.end(self.id, Crashed(message=message))
        self._logger.error("Flow run %r crashed: %s", self.flow_run.name, message)

    async def _crash(self, error: BaseException) -> None:
        message = f"Failed to submit flow run to infrastructure: {type(error).__name__}: {error}"
        self._logger.error("Flow run %r could not be started: %s", self.flow_run.name, message)
        await self._claims.end(self.id, Crashed(message=message))

    async def cancel(self, grace_seconds: int) -> None:
        """Stop the infrastructure of a run that is being cancelled, and call it Cancelled."""
        if self.configuration is None or self.is_cancelled:
            return
        await self.status.is_started.wait()
        if self.status.identifier is None:
            self._logger.warning("Flow run %r cannot be stopped: its infrastructure has no identifier.", self.flow_run.name)
            return
        self.is_cancelled = True
        try:
            await self.worker.kill_infrastructure(self.status.identifier, self.configuration, grace_seconds)
        except InfrastructureNotFound:
            self._logger.info("The infrastructure of flow run %r is gone already.", self.flow_run.name)
        except (InfrastructureNotAvailable, NotImplementedError) as error:
            self.is_cancelled = False
            self._logger.warning("Flow run %r cannot be stopped from here: %s", self.flow_run.name, error)
            return
        await self._claims.end(self.id, Cancelled(message=CANCELLED_MESSAGE))


async def _deployment(flow_run: FlowRun) -> Deployment | None:
    if flow_run.deployment_id is None:
        return None
    return await current_client().call(READ_DEPLOYMENT, id=flow_run.deployment_id)
