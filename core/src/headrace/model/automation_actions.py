"""What an automation does when its trigger fires. Where an action has a target, `selected` names it and `inferred` takes it from the event."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from headrace.model.base import Model
from headrace.model.states import StateType

Source = Literal["selected", "inferred"]


class Action(Model):
    """An action; its field `type` says which."""

    def describe_for_cli(self) -> str:
        """Return the action in a few words."""
        return str(type(self).model_fields["type"].default).replace("-", " ").capitalize()

    def targets(self) -> list[str]:
        """Return the ids of the resources that it names."""
        return []


class _Selecting(Action):
    """Acts on one object, `selected` by its id or `inferred` from the event."""

    _kind: ClassVar[str]

    source: Source = "selected"

    @model_validator(mode="after")
    def _selects(self) -> _Selecting:
        field = self._field()
        chosen = getattr(self, field)
        if self.source == "selected" and chosen is None:
            raise ValueError(f"{field} is required when `source` is 'selected'")
        if self.source == "inferred" and chosen is not None:
            raise ValueError(f"{field} is not allowed when `source` is 'inferred'")
        return self

    @classmethod
    def _field(cls) -> str:
        return f"{cls._kind.replace('-', '_')}_id"

    def describe_for_cli(self) -> str:
        """Return the action in a few words."""
        chosen = getattr(self, self._field())
        return f"{super().describe_for_cli()}: {'inferred from the event' if chosen is None else chosen}"

    def targets(self) -> list[str]:
        """Return the ids of the resources that it names."""
        chosen = getattr(self, self._field())
        return [] if chosen is None else [f"prefect.{self._kind}.{chosen}"]


class DoNothing(Action):
    """Do nothing: the automation's own events are enough."""

    type: Literal["do-nothing"] = "do-nothing"


class DeploymentAction(_Selecting):
    """Act on a deployment."""

    _kind: ClassVar[str] = "deployment"
    deployment_id: UUID | None = None


class RunDeployment(DeploymentAction):
    """Create a run of a deployment, `schedule_after` later; texts in `parameters` may be templates."""

    type: Literal["run-deployment"] = "run-deployment"
    parameters: dict[str, Any] | None = None
    job_variables: dict[str, Any] | None = None
    schedule_after: timedelta = Field(default_factory=timedelta)

    @field_validator("schedule_after")
    @classmethod
    def _not_before(cls, value: timedelta) -> timedelta:
        if value < timedelta(0):
            raise ValueError("schedule_after must be a non-negative timedelta")
        return value


class PauseDeployment(DeploymentAction):
    """Pause the schedules of a deployment."""

    type: Literal["pause-deployment"] = "pause-deployment"


class ResumeDeployment(DeploymentAction):
    """Resume the schedules of a deployment."""

    type: Literal["resume-deployment"] = "resume-deployment"


class CancelFlowRun(Action):
    """Cancel the flow run of the event."""

    type: Literal["cancel-flow-run"] = "cancel-flow-run"


class DeleteFlowRun(Action):
    """Delete the flow run of the event."""

    type: Literal["delete-flow-run"] = "delete-flow-run"


class SuspendFlowRun(Action):
    """Suspend the flow run of the event."""

    type: Literal["suspend-flow-run"] = "suspend-flow-run"


class ResumeFlowRun(Action):
    """Resume the flow run of the event."""

    type: Literal["resume-flow-run"] = "resume-flow-run"


class ChangeFlowRunState(Action):
    """Give the flow run of the event another state; `force` asks no rule."""

    type: Literal["change-flow-run-state"] = "change-flow-run-state"
    name: str | None = None
    state: StateType
    message: str | None = None
    force: bool = False


class WorkPoolAction(_Selecting):
    """Act on a work pool."""

    _kind: ClassVar[str] = "work-pool"
    work_pool_id: UUID | None = None


class PauseWorkPool(WorkPoolAction):
    """Pause a work pool."""

    type: Literal["pause-work-pool"] = "pause-work-pool"


class ResumeWorkPool(WorkPoolAction):
    """Resume a work pool."""

    type: Literal["resume-work-pool"] = "resume-work-pool"


class WorkQueueAction(_Selecting):
    """Act on a work queue."""

    _kind: ClassVar[str] = "work-queue"
    work_queue_id: UUID | None = None


class PauseWorkQueue(WorkQueueAction):
    """Pause a work queue."""

    type: Literal["pause-work-queue"] = "pause-work-queue"


class ResumeWorkQueue(WorkQueueAction):
    """Resume a work queue."""

    type: Literal["resume-work-queue"] = "resume-work-queue"


class AutomationAction(_Selecting):
    """Act on an automation."""

    _kind: ClassVar[str] = "automation"
    automation_id: UUID | None = None


class PauseAutomation(AutomationAction):
    """Disable an automation."""

    type: Literal["pause-automation"] = "pause-automation"


class ResumeAutomation(AutomationAction):
    """Enable an automation."""

    type: Literal["resume-automation"] = "resume-automation"


class _ByBlock(Action):
    block_document_id: UUID

    def targets(self) -> list[str]:
        """Return the ids of the resources that it names."""
        return [f"prefect.block-document.{self.block_document_id}"]


class SendNotification(_ByBlock):
    """Send a message through a notification block; subject and body are templates."""

    type: Literal["send-notification"] = "send-notification"
    subject: str = "Prefect automated notification"
    body: str


class CallWebhook(_ByBlock):
    """Call a webhook block; the payload is a template."""

    type: Literal["call-webhook"] = "call-webhook"
    payload: str = ""


ActionTypes = Annotated[
    DoNothing
    | RunDeployment
    | PauseDeployment
    | ResumeDeployment
    | CancelFlowRun
    | DeleteFlowRun
    | ChangeFlowRunState
    | PauseWorkQueue
    | ResumeWorkQueue
    | SendNotification
    | CallWebhook
    | PauseAutomation
    | ResumeAutomation
    | SuspendFlowRun
    | ResumeFlowRun
    | PauseWorkPool
    | ResumeWorkPool,
    Field(discriminator="type"),
]
