"""A flow inside a flow: a task run in the parent stands for the child and mirrors its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.client.recording import spool
from headrace.data.task_record import TaskRecord

if TYPE_CHECKING:
    from headrace.engine.context import FlowRunContext
    from headrace.engine.flow_run import FlowCall
    from headrace.engine.outcome import Outcome
    from headrace.model.flow_runs import FlowRun
    from headrace.model.states import State


@dataclass(slots=True)
class Child:
    """A subflow run of an earlier attempt of the parent."""

    record: TaskRecord
    run: FlowRun
    outcome: Outcome | None


class ParentLink:
    """The tracking task run of one subflow call. The same call of a later attempt finds the same one."""

    def __init__(self, call: FlowCall) -> None:
        frame = call.enclosing.flow
        assert frame is not None
        self.frame: FlowRunContext = frame
        name = call.flow.name
        task_key = f"{name}-subflow"
        number = frame.next_ordinal(task_key)
        self.key = f"{task_key}:{number}"
        self.call = call
        known = frame.children.get(self.key)
        if known is not None:
            self.record = known.record
            self.record.flow_run_run_count = frame.attempt
        else:
            self.record = TaskRecord(
                flow_run_id=frame.flow_run.id,
                name=f"{name}-{number}",
                task_key=task_key,
                dynamic_key=str(number),
                tags=call.enclosing.tags,
                flow_run_run_count=frame.attempt,
            )
            if call.enclosing.task is not None:
                self.record.task_inputs["__parents__"] = [{"input_type": "task_run", "id": call.enclosing.task.record.id_text}]
            self.record.enter("PENDING", "Pending")
            spool().open(self.record)

    def begin(self, run: FlowRun) -> None:
        """Say that the child was created, and so runs as far as the parent is concerned."""
        self.frame.children[self.key] = Child(self.record, run, None)
        self.record.name = f"{run.name}" if self.call.flow.flow_run_name is not None else self.record.name
        self.record.enter("RUNNING", "Running", details={"child_flow_run_id": str(run.id)})

    def finish(self, state: State | None) -> None:
        """Mirror the child's present state and stop tracking."""
        if state is not None and (not self.record.is_final or self.record.states[-1][1] != state.type.value):
            child = self.frame.children.get(self.key)
            details: dict[str, Any] = {"child_flow_run_id": str(child.run.id)} if child is not None else {}
            self.record.enter(state.type.value, state.name or state.type.value.capitalize(), state.message, details=details, data=state.data)
            if child is not None:
                child.outcome = self.call.outcome
        spool().close_record(self.record)


async def reusable_child(call: FlowCall, link: ParentLink) -> State | None:
    """Return the state of the child that an earlier attempt of the parent completed, or None when the child must run."""
    child = link.frame.children.get(link.key)
    if child is None or child.run.state is None or not child.run.state.is_completed():
        return None
    call.outcome = child.outcome
    call.record.adopt(child.run)
    return child.run.state
