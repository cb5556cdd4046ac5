"""A worker's word with the server about its runs: taking one, telling how far it is, giving it back. Repeated until it is heard.

A run is taken by the transition to Pending in this worker's name; of several workers one is accepted. The name lives by heartbeats: when they
stop, the server schedules runs again that were taken and not begun. Each proposal has an id, so that one that is repeated is decided once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from headrace.client.methods.proposals import as_proposal
from headrace.model import clock, ids
from headrace.model.endpoints.flow_runs import READ_FLOW_RUN, SET_FLOW_RUN_STATE, UPDATE_FLOW_RUN, UPDATE_FLOW_RUN_LABELS
from headrace.model.endpoints.owners import OWNER_HEARTBEAT
from headrace.model.errors import HeadraceException, HeadraceHTTPStatusError, ObjectNotFound, ServerUnreachable
from headrace.model.flow_runs import FlowRunUpdate
from headrace.model.orchestration import OrchestrationResult, SetState, SetStateStatus
from headrace.model.states import Scheduled

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.flow_runs import FlowRun
    from headrace.model.states import State

HEARTBEAT_SECONDS = 10.0
RETRY_FIRST_SECONDS = 1.0
RETRY_SECONDS_MAX = 15.0


class Claims:
    """The runs that one worker has taken."""

    def __init__(self, client: Client, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self._client = client
        self._logger = logger
        self.owner = ids.new()
        self.taken: set[UUID] = set()
        """Runs in the worker's name: their processes have not spoken for themselves yet, as far as it knows."""
        self._claims: dict[UUID, UUID] = {}
        """By run, the state by which it was taken, or is to be. Named with each proposal: a run that another has taken since is left alone."""
        self.is_patient = True
        """Whether an unreachable server is waited for. Off when the worker must end."""

    async def take(self, run: FlowRun) -> OrchestrationResult:
        """Take a run. The answer's status is ACCEPT when this worker has it now."""
        from headrace.model.states import Pending

        self.taken.add(run.id)
        if run.state_id is not None:
            self._claims[run.id] = run.state_id  # it is taken as it was seen: not when another process has begun, or even ended, it since
        try:
            answer = await self._propose(run.id, Pending())
        except BaseException:
            self.forget(run.id)
            raise
        if answer.status is not SetStateStatus.ACCEPT or answer.state is None or not answer.state.is_pending():
            self.forget(run.id)
            answer = answer.model_copy(update={"status": SetStateStatus.REJECT if answer.status is SetStateStatus.ACCEPT else answer.status})
        else:
            self._claims[run.id] = answer.state.id
            run.state, run.state_id, run.state_type, run.state_name = answer.state, answer.state.id, answer.state.type, answer.state.name
        return answer

    def forget(self, run_id: UUID) -> None:
        """Have no more to say of a run."""
        self.taken.discard(run_id)
        self._claims.pop(run_id, None)

    async def tell(self, run_id: UUID, state: State, *, force: bool = False) -> OrchestrationResult:
        """Propose a state for a run that this worker has."""
        return await self._propose(run_id, state, force)

    async def end(self, run_id: UUID, state: State) -> State | None:
        """Put a run into a final state unless it has one; return the state that it has."""
        found = await self.read(run_id)
        if found is None or found.state is None:
            return None
        if found.state.is_final():
            return found.state
        return (await self._propose(run_id, state, force=True)).state

    async def give_back(self, run_id: UUID, message: str) -> None:
        """Schedule a run again that was taken and not begun, for another worker or this one later."""
        await self._propose(run_id, Scheduled(message=message), force=True)
        self.taken.discard(run_id)

    async def read(self, run_id: UUID) -> FlowRun | None:
        """Return a run as it is now, or None when it was deleted."""
        try:
            return await self._persistently(READ_FLOW_RUN, None, id=run_id)
        except ObjectNotFound:
            return None

    async def note_infrastructure(self, run_id: UUID, identifier: str | None) -> None:
        """Store what a run's infrastructure is known by, so that it can be stopped. None: it has none yet."""
        await self._persistently(UPDATE_FLOW_RUN, FlowRunUpdate(infrastructure_pid=identifier), id=run_id)

    async def label(self, run_id: UUID, labels: dict[str, str]) -> None:
        """Add labels to a run."""
        await self._persistently(UPDATE_FLOW_RUN_LABELS, labels, id=run_id)

    async def beat(self) -> None:
        """Give signs of life for as long as runs are taken; never returns."""
        while True:
            if self.taken:
                try:
                    await self._client.call(OWNER_HEARTBEAT, id=self.owner)
                except (HeadraceException, OSError) as error:
                    self._logger.debug("A sign of life could not be given: %s", error)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _propose(self, run_id: UUID, state: State, force: bool = False) -> OrchestrationResult:
        proposed = as_proposal(state)
        proposed.id = ids.new()
        proposed.state_details.transition_id = ids.new()
        named = {"claim": claim} if (claim := self._claims.get(run_id)) is not None else {}
        answer = await self._persistently(SET_FLOW_RUN_STATE, SetState(state=proposed, force=force), id=run_id, owner=self.owner, **named)
        open_runs: set[UUID] = getattr(self._client, "open_runs", set())
        open_runs.discard(run_id)  # the client's own signs of life speak of runs in this process
        return cast("OrchestrationResult", answer)

    async def _persistently(self, endpoint: Any, body: Any, **parameters: Any) -> Any:
        pause, began = RETRY_FIRST_SECONDS, clock.monotonic()
        while True:
            try:
                return await self._client.call(endpoint, body, **parameters)
            except (ServerUnreachable, HeadraceHTTPStatusError) as error:
                if not self.is_patient or not _is_passing(error):
                    raise
                self._logger.warning("The server does not answer since %.0f s; trying again. %s", clock.monotonic() - began, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)


def _is_passing(error: ServerUnreachable | HeadraceHTTPStatusError) -> bool:
    return isinstance(error, ServerUnreachable) or error.status in (408, 429) or error.status >= 500
