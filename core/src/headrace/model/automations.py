"""Automations: a trigger, and the actions that follow when it fires."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator

from headrace.model import ids
from headrace.model.automation_actions import ActionTypes, RunDeployment
from headrace.model.base import Action, Body, Model, Record
from headrace.model.events import RESOURCE_ID, ResourceSpecification, matches
from headrace.model.run_filters import Operator

PROACTIVE_WITHIN_MIN = timedelta(seconds=10)


class Posture(StrEnum):
    """Whether a trigger fires when events come, or when they stay out. `Metric` is offered by no server here."""

    Reactive = "Reactive"
    Proactive = "Proactive"
    Metric = "Metric"


class Trigger(Model):
    """What must be fulfilled for an automation to act; its field `type` says how."""

    id: UUID = Field(default_factory=ids.new)

    def describe_for_cli(self, indent: int = 0) -> str:
        """Return the trigger in words, each line indented by `indent` blanks."""
        return " " * indent + type(self).__name__

    # --- a trigger of a deployment: what fires it runs the deployment

    _deployment_id: UUID | None = PrivateAttr(default=None)

    def set_deployment_id(self, deployment_id: UUID) -> None:
        """Say which deployment runs when the trigger fires."""
        self._deployment_id = deployment_id

    def owner_resource(self) -> str | None:
        """Return the id of the resource that the automation goes away with, once the deployment is known."""
        return None if self._deployment_id is None else f"prefect.deployment.{self._deployment_id}"

    def actions(self) -> list[ActionTypes]:
        """Return what the automation does: it runs the deployment, as the trigger says. Raises `ValueError` while that is unknown."""
        if self._deployment_id is None:
            raise ValueError("The trigger does not know its deployment. Call `set_deployment_id` first.")
        told = {name: getattr(self, name) for name in ("parameters", "job_variables", "schedule_after") if hasattr(self, name)}
        return [RunDeployment(deployment_id=self._deployment_id, **told)]

    def as_automation(self) -> AutomationCore:
        """Return the automation that runs the deployment. Raises `ValueError` while that is unknown."""
        actions = self.actions()
        return AutomationCore(
            name=getattr(self, "name", None) or f"Automation for deployment {self._deployment_id}",
            description=getattr(self, "description", ""),
            enabled=getattr(self, "enabled", True),
            trigger=cast("TriggerTypes", self),
            actions=actions,
            owner_resource=self.owner_resource(),
        )


class ResourceTrigger(Trigger):
    """A trigger about resources with certain labels; several in `match_related` must each match one of the related resources."""

    match: ResourceSpecification = Field(default_factory=lambda: ResourceSpecification({}))
    match_related: ResourceSpecification | list[ResourceSpecification] = Field(default_factory=lambda: ResourceSpecification({}))

    @property
    def specifications(self) -> list[ResourceSpecification]:
        """What is asked of the resource, then of the related ones."""
        related = self.match_related
        return [self.match, *(related if isinstance(related, list) else [related])]


class EventTrigger(ResourceTrigger):
    """Fires when `threshold` expected events come (Reactive) or fail to come (Proactive) within a time.

    `after` are events that must come first. `expect` are names, with `*` at the end for any ending; none means every event. `for_each` are
    labels: each of their values is watched by itself. `within` is at least 10 seconds, and so much by default, for a Proactive trigger.
    """

    type: Literal["event"] = "event"
    after: set[str] = Field(default_factory=set)
    expect: set[str] = Field(default_factory=set)
    for_each: set[str] = Field(default_factory=set)
    posture: Literal[Posture.Reactive, Posture.Proactive]
    threshold: int = 1
    within: timedelta = timedelta(0)

    @model_validator(mode="after")
    def _waits_long_enough(self) -> EventTrigger:
        if self.within < timedelta(0):
            raise ValueError("`within` must be greater than or equal to 0 seconds")
        if self.posture is Posture.Proactive:
            if not self.within:
                self.within = PROACTIVE_WITHIN_MIN
            elif self.within < PROACTIVE_WITHIN_MIN:
                raise ValueError("`within` for Proactive triggers must be greater than or equal to 10 seconds")
        return self

    def describe_for_cli(self, indent: int = 0) -> str:
        """Return the trigger in words, each line indented by `indent` blanks."""
        lines = [f"{self.posture.value}: expecting {self.threshold} of {', '.join(sorted(self.expect)) or 'any event'}"]
        if self.after:
            lines.append(f"after {', '.join(sorted(self.after))}")
        if self.within:
            lines.append(f"within {self.within}")
        if self.for_each:
            lines.append(f"for each {', '.join(sorted(self.for_each))}")
        return "\n".join(" " * indent + line for line in lines)

    def expects(self, event: str) -> bool:
        """Say whether an event of this name is one that is expected."""
        return not self.expect or any(matches(pattern, event) for pattern in self.expect)


class CompositeTrigger(Trigger):
    """A trigger made of others, which must fire within a time, or ever."""

    triggers: list[TriggerTypes]
    within: timedelta | None

    @model_validator(mode="after")
    def _waits_no_negative_time(self) -> CompositeTrigger:
        if self.within is not None and self.within < timedelta(0):
            raise ValueError("`within` must be greater than or equal to 0 seconds")
        return self

    def _describe(self, first: str, indent: int) -> str:
        within = f" within {self.within}" if self.within else ""
        return "\n".join([" " * indent + first + within, *(one.describe_for_cli(indent + 2) for one in self.triggers)])


class CompoundTrigger(CompositeTrigger):
    """Fires when `require` of its triggers have fired, in any order."""

    type: Literal["compound"] = "compound"
    require: int | Literal["any", "all"]

    @property
    def num_expected_firings(self) -> int:
        """How many of the triggers must fire."""
        return {"any": 1, "all": len(self.triggers)}[self.require] if isinstance(self.require, str) else self.require

    @model_validator(mode="after")
    def validate_require(self) -> CompoundTrigger:
        """Refuse to wait for more triggers than there are, or for none."""
        if isinstance(self.require, int) and self.require < 1:
            raise ValueError("require must be at least 1")
        if isinstance(self.require, int) and self.require > len(self.triggers):
            raise ValueError("require must be less than or equal to the number of triggers")
        return self

    def describe_for_cli(self, indent: int = 0) -> str:
        """Return the trigger in words, each line indented by `indent` blanks."""
        return self._describe(f"{str(self.require).capitalize()} of:", indent)


class SequenceTrigger(CompositeTrigger):
    """Fires when its triggers have fired in their order."""

    type: Literal["sequence"] = "sequence"

    def describe_for_cli(self, indent: int = 0) -> str:
        """Return the trigger in words, each line indented by `indent` blanks."""
        return self._describe("In this order:", indent)


def trigger_discriminator(value: Any) -> str:
    """Return which trigger a value is: an event trigger unless it says otherwise."""
    found = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return found or "event"


TriggerTypes = Annotated[
    Annotated[EventTrigger, Tag("event")] | Annotated[CompoundTrigger, Tag("compound")] | Annotated[SequenceTrigger, Tag("sequence")],
    Discriminator(trigger_discriminator),
]


class _Automation(Model):
    name: str
    description: str = ""
    enabled: bool = True
    tags: list[str] = Field(default_factory=list)
    trigger: TriggerTypes
    actions: list[ActionTypes]
    actions_on_trigger: list[ActionTypes] = Field(default_factory=list[ActionTypes])
    actions_on_resolve: list[ActionTypes] = Field(default_factory=list[ActionTypes])

    @property
    def all_actions(self) -> list[ActionTypes]:
        """The actions of every occasion."""
        return [*self.actions, *self.actions_on_trigger, *self.actions_on_resolve]

    def event_triggers(self) -> Iterable[EventTrigger]:
        """Return the event triggers that its trigger is made of."""
        waiting: list[TriggerTypes] = [self.trigger]
        while waiting:
            one = waiting.pop()
            if isinstance(one, EventTrigger):
                yield one
            else:
                waiting += one.triggers

    @model_validator(mode="after")
    def _ends(self) -> _Automation:
        """Refuse what would run on for ever: a deployment started because a run of it started."""
        runs = [one for one in self.all_actions if isinstance(one, RunDeployment)]
        for trigger in self.event_triggers() if runs else ():
            if trigger.posture is not Posture.Reactive or not _sees_runs_begin(trigger):
                continue
            if any(run.source == "inferred" for run in runs):
                raise ValueError(
                    "Running an inferred deployment from a flow run state change event will lead to an infinite loop of flow runs.  Please choose a"
                    " specific deployment and add additional filtering labels to the match or match_related for this automation's trigger."
                )
            if all(one.matches_every_resource_of_kind("prefect.flow-run") for one in trigger.specifications):
                raise ValueError(
                    "Running a selected deployment from a flow run state change event may lead to an infinite loop of flow runs, since every flow"
                    " run matches. Add labels to the match or match_related of this automation's trigger that leave out the runs of the deployment."
                )
        return self


_RUN = "prefect.flow-run."
_BEGINNINGS = tuple(f"{_RUN}{name}" for name in ("Scheduled", "Pending", "Running"))


def _sees_runs_begin(trigger: EventTrigger) -> bool:
    """Say whether events that every flow run has when it begins can fire a trigger, as far as ids of resources and names of events tell."""
    ids = trigger.match.get(RESOURCE_ID)
    return (ids is None or any(_may_be_new_run(one) for one in ids)) and any(trigger.expects(event) for event in _BEGINNINGS)


def _may_be_new_run(pattern: str) -> bool:
    stem = pattern[:-1]
    return pattern.startswith("!") or (pattern.endswith("*") and (stem.startswith(_RUN) or _RUN.startswith(stem)))


class AutomationCore(_Automation):
    """An automation as one writes it; `owner_resource` is what it goes away with, as `prefect.deployment.<id>`."""

    owner_resource: str | None = None


class Automation(_Automation, Record):
    """A stored automation."""


class AutomationCreate(AutomationCore, Action):
    """An automation to store."""


class AutomationUpdate(_Automation, Action):
    """All that an automation is from now on."""


class AutomationPartialUpdate(Action):
    """Switches an automation on or off."""

    enabled: bool = True


class AutomationSort(StrEnum):
    """The orders in which automations are listed."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class AutomationFilterId(Action):
    """By id."""

    any_: list[UUID] | None = None


class AutomationFilterName(Action):
    """By name."""

    any_: list[str] | None = None


class AutomationFilterCreated(Action):
    """By the time of making."""

    before_: datetime | None = None


class AutomationFilterTags(Action):
    """By tags."""

    operator: Operator = Operator.and_
    all_: list[str] | None = None
    any_: list[str] | None = None
    is_null_: bool | None = None


class AutomationFilter(Action):
    """Which automations."""

    operator: Operator = Operator.and_
    id: AutomationFilterId | None = None
    name: AutomationFilterName | None = None
    created: AutomationFilterCreated | None = None
    tags: AutomationFilterTags | None = None


class AutomationCount(Body):
    """Body of the count of automations."""

    automations: AutomationFilter | None = None


class AutomationQuery(AutomationCount):
    """Body of the list of automations."""

    sort: AutomationSort = AutomationSort.NAME_ASC
    limit: int | None = None
    offset: int = Field(default=0, ge=0)
