"""A database of a server, its clock, and runs in the states that services look for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.caller import EMBEDDED, SERVICE
from headrace.model.endpoints import flow_runs, flows, task_runs
from headrace.model.flow_runs import FlowRun, FlowRunCreate
from headrace.model.flows import FlowCreate
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.task_runs import TaskRun, TaskRunCreate
from headrace.operations.table import answer
from headrace.server.services.steps import StepService
from headrace.store.database import Database
from headrace.testing.clock import ControlledClock


class World:
    """A database, its clock, and short words for what tests do to it."""

    def __init__(self, database: Database, clock: ControlledClock) -> None:
        self.database = database
        self.clock = clock
        self.flow_id = self.call(flows.CREATE_FLOW, FlowCreate(name="f")).id

    def call(self, endpoint: Any, body: Any = None, **parameters: Any) -> Any:
        return answer(self.database, endpoint, body, parameters, SERVICE)[0]

    def rows(self, text: str, *values: Any) -> list[Any]:
        with self.database.read() as tx:
            return tx.sql(text, values)

    def run(self, kind: StateType = StateType.PENDING, *, name: str | None = None, owner: UUID | None = None, **values: Any) -> UUID:
        details = values.pop("details", {})
        state = StateCreate(type=kind, name=name, state_details=StateDetails(**details))
        return self.call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=self.flow_id, state=state, **values), owner=owner).id

    def embedded_run(self) -> UUID:
        """Make a run of a process that writes to the database without a server."""
        return answer(self.database, flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=self.flow_id), {"owner": ids.new()}, EMBEDDED)[0].id

    def scheduled(self, in_seconds: float, **values: Any) -> UUID:
        return self.run(StateType.SCHEDULED, details={"scheduled_time": clock.now() + timedelta(seconds=in_seconds)}, **values)

    def task(self, flow_run: UUID, kind: StateType = StateType.RUNNING) -> UUID:
        body = TaskRunCreate(flow_run_id=flow_run, task_key="t", dynamic_key=str(ids.new()), state=StateCreate(type=kind))
        return self.call(task_runs.CREATE_TASK_RUN, body).id

    def move(self, run: UUID, kind: StateType, **details: Any) -> None:
        state = StateCreate(type=kind, state_details=StateDetails(**details))
        self.call(flow_runs.SET_FLOW_RUN_STATE, SetState(state=state, force=True), id=run)

    def flow_run(self, run: UUID) -> FlowRun:
        return self.call(flow_runs.READ_FLOW_RUN, id=run)

    def task_run(self, run: UUID) -> TaskRun:
        return self.call(task_runs.READ_TASK_RUN, id=run)

    def state_of(self, run: UUID) -> str:
        return self.flow_run(run).state_name or ""

    def round(self, *services: type[StepService]) -> None:
        """Run one round of each service, one after the other."""
        for service in services:
            asyncio.run(service.on(self.database).start(loops=1))

    def racing_rounds(self, service: type[StepService], count: int = 2) -> None:
        """Run one round of several servers' instances of a service at the same time, each with connections of its own."""
        others = [Database(self.database.url) for _ in range(count)]

        async def race() -> None:
            await asyncio.gather(*(service.on(one).start(loops=1) for one in others))

        asyncio.run(race())
        for one in others:
            one.close()
