"""What the engine keeps of a flow run while it runs, and its talk with the orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

from headrace.client.connect import current_client
from headrace.client.recording import spool
from headrace.model import clock, ids
from headrace.model.errors import Abort

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.engine.context import FlowRunContext
    from headrace.engine.flow import Flow
    from headrace.engine.flow_run import FlowCall
    from headrace.engine.ports import Ports
    from headrace.engine.subflows import Child, ParentLink
    from headrace.model.flow_runs import FlowRun
    from headrace.model.orchestration import OrchestrationResult
    from headrace.model.states import State

PENDING_POLL_SECONDS = 0.2
SCHEDULE_MARGIN_SECONDS = 0.001
"""A proposal that comes a microsecond early is told to wait for a second."""

_flow_ids: WeakKeyDictionary[Client, dict[str, UUID]] = WeakKeyDictionary()


class FlowRecord:
    """One flow run. `attempt` counts from 1; `children` remembers the subflows of earlier attempts."""

    def __init__(self, flow: Flow[..., Any], flow_run: FlowRun | None) -> None:
        self.flow = flow
        self.attempt = flow_run.run_count + 1 if flow_run is not None else 1
        self.children: dict[str, Child] = {}
        self._run = flow_run
        self._client = current_client()

    @property
    def exists(self) -> bool:
        """Whether the run was created."""
        return self._run is not None

    def adopt(self, run: FlowRun) -> None:
        """Stand for a run that exists."""
        self._run = run

    @property
    def run(self) -> FlowRun:
        """The flow run as it is known here; its state is the last one accepted."""
        assert self._run is not None, "the run was not created"
        return self._run

    @property
    def state(self) -> State:
        """The run's present state."""
        state = self.run.state
        assert state is not None, "a flow run always has a state"
        return state

    def frame(self, call: FlowCall) -> FlowRunContext:
        """Return the run's context, or one for logging when its body never began."""
        from headrace.engine.context import FlowRunContext

        return call.frame or FlowRunContext(self.flow, self.run, call.parameters, clock.now(), self.flow.task_runner)

    async def create(self, parameters: dict[str, Any], name: str | None, tags: frozenset[str], link: ParentLink | None, ports: Ports) -> None:
        """Create the run as Pending, or take over the one that exists. Raises `Abort` when that one must not run."""
        if self._run is not None:
            await self._rename(name)
            if self.state.is_scheduled() or self.state.is_final():
                await self.propose("PENDING", "Pending", ports=ports)
            return
        from headrace.model.endpoints.flow_runs import CREATE_FLOW_RUN
        from headrace.model.flow_runs import FlowRunCreate, FlowRunPolicy
        from headrace.model.states import StateCreate, StateDetails, StateType

        flow = self.flow
        delay = flow.retry_delay_seconds
        # The values come from the engine itself, not from outside: building pydantic's schemas to check them would cost as much as the run.
        body = FlowRunCreate.model_construct(
            flow_id=await self._flow_id(),
            state=StateCreate.model_construct(type=StateType.PENDING, name="Pending", id=ids.new(), state_details=StateDetails.model_construct()),
            name=name or "",
            flow_version=flow.version,
            parameters=parameters,
            tags=sorted(tags),
            parent_task_run_id=link.record.id if link is not None else None,
            empirical_policy=FlowRunPolicy.model_construct(retries=flow.retries, retry_delay=int(delay), retry_delay_seconds=delay),
        )
        self._run = await self._client.call(CREATE_FLOW_RUN, body, owner=spool().owner_id)
        if link is not None:
            link.begin(self._run)

    async def _rename(self, name: str | None) -> None:
        if name is None or name == self.run.name:
            return
        from headrace.model.endpoints.flow_runs import UPDATE_FLOW_RUN
        from headrace.model.flow_runs import FlowRunUpdate

        await self._client.call(UPDATE_FLOW_RUN, FlowRunUpdate(name=name), id=self.run.id)
        self.run.name = name

    async def _flow_id(self) -> UUID:
        known = _flow_ids.setdefault(self._client, {})
        if self.flow.name not in known:
            from headrace.model.endpoints.flows import CREATE_FLOW
            from headrace.model.flows import FlowCreate

            known[self.flow.name] = (await self._client.call(CREATE_FLOW, FlowCreate.model_construct(name=self.flow.name))).id
        return known[self.flow.name]

    async def begin(self, ports: Ports) -> State:
        """Propose Running until the orchestrator accepts it or ends the run; waits as it is told. Raises `Abort`."""
        while True:
            if (early := self._seconds_until(self.state)) > 0:  # the orchestrator would say so too, but in whole seconds
                await ports.sleep(early)
            state = await self.propose("RUNNING", "Running", ports=ports)
            if state.is_pending():
                await ports.sleep(PENDING_POLL_SECONDS)
            elif not state.is_scheduled():
                return state

    def _seconds_until(self, state: State) -> float:
        at = state.state_details.scheduled_time
        left = (at - clock.now()).total_seconds() if at is not None else 0.0
        return left + SCHEDULE_MARGIN_SECONDS if left > 0 else 0.0

    async def propose(
        self,
        kind: str,
        name: str,
        message: str | None = None,
        metadata: Any = None,
        data: Any = None,
        *,
        force: bool = False,
        ports: Ports | None = None,
    ) -> State:
        """Propose a state and return the one that the run is in afterwards, with `data` if it is the proposed one.

        Repeated with the same transition id after a lost answer, a proposal is decided once. Raises `Abort` when the run must stop.
        """
        from headrace.model.endpoints.flow_runs import SET_FLOW_RUN_STATE
        from headrace.model.orchestration import SetState, SetStateStatus
        from headrace.model.states import StateCreate, StateDetails, StateType

        proposed = StateCreate.model_construct(
            id=ids.new(),
            type=StateType(kind),
            name=name,
            message=message,
            data=metadata,
            state_details=StateDetails.model_construct(transition_id=ids.new(), flow_run_id=self.run.id),
        )
        while True:
            answer = await self._client.call(
                SET_FLOW_RUN_STATE, SetState.model_construct(state=proposed, force=force), id=self.run.id, owner=spool().owner_id
            )
            if answer.status is SetStateStatus.WAIT and ports is not None:
                await ports.sleep(float(getattr(answer.details, "delay_seconds", 1)))
                continue
            return self._take(answer, data)

    def _take(self, answer: OrchestrationResult, data: Any) -> State:
        from headrace.model.orchestration import SetStateStatus

        if answer.status is SetStateStatus.ABORT:
            raise Abort(getattr(answer.details, "reason", None) or "The orchestrator stopped the run.")
        state = answer.state
        assert state is not None, "an accepted or rejected proposal answers a state"
        if answer.status is SetStateStatus.ACCEPT:
            from headrace.data.state_results import HeldResult, is_held

            if data is not None or state.is_completed():
                state.data = data if is_held(data) or not state.is_completed() else HeldResult(data)
        self.run.state = state
        self.run.state_id, self.run.state_type, self.run.state_name = state.id, state.type, state.name
        if state.is_running():
            self.run.run_count += 1
            if self.run.start_time is None:
                self.run.start_time = state.timestamp
        elif state.is_final():
            self.run.end_time = state.timestamp
        return state

    async def is_being_cancelled(self, run_id: UUID) -> bool:
        """Look whether somebody asked for the cancellation of a run meanwhile; if it is this one, it is in that state here too."""
        from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

        now = await self._client.call(READ_FLOW_RUN, id=run_id)
        if now.state is None or not now.state.is_cancelling():
            return False
        if run_id == self.run.id:
            self.run.state = now.state
        return True


async def parent_link(call: FlowCall) -> ParentLink | None:
    """Return what ties a subflow to the run that calls it, or None for a flow that nothing calls and for a run that exists already."""
    if call.enclosing.flow is None or call.record.exists:
        return None
    from headrace.engine.subflows import ParentLink

    return ParentLink(call)
