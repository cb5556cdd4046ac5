"""Triggers as a deployment states them: with what it takes to run the deployment when they fire."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from headrace.model.automations import CompoundTrigger, EventTrigger, Posture, SequenceTrigger, TriggerTypes, trigger_discriminator
from headrace.model.base import Action


class BaseDeploymentTrigger(Action):
    """What an automation is called, and what it gives to the run of the deployment. Texts in `parameters` may be templates."""

    name: str | None = None
    description: str = ""
    enabled: bool = True
    parameters: dict[str, Any] | None = None
    job_variables: dict[str, Any] | None = None
    schedule_after: timedelta = Field(default=timedelta(0), ge=timedelta(0))


class DeploymentEventTrigger(EventTrigger, BaseDeploymentTrigger):
    """Runs the deployment when events come, or fail to come."""

    posture: Literal[Posture.Reactive, Posture.Proactive] = Posture.Reactive


class DeploymentCompoundTrigger(CompoundTrigger, BaseDeploymentTrigger):
    """Runs the deployment when some of several triggers have fired."""

    triggers: list[TriggerTypes]
    within: timedelta | None = None


class DeploymentSequenceTrigger(SequenceTrigger, BaseDeploymentTrigger):
    """Runs the deployment when several triggers have fired in their order."""

    triggers: list[TriggerTypes]
    within: timedelta | None = None


def deployment_trigger_discriminator(value: Any) -> str:
    """Return which trigger a value is: an event trigger unless it says otherwise."""
    return trigger_discriminator(value)


DeploymentTriggerTypes = Annotated[
    Annotated[DeploymentEventTrigger, Tag("event")]
    | Annotated[DeploymentCompoundTrigger, Tag("compound")]
    | Annotated[DeploymentSequenceTrigger, Tag("sequence")],
    Discriminator(deployment_trigger_discriminator),
]
