"""What the commands for deployments share: finding them, completing their names, and times as people say them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import click

from headrace.cli.render import fail
from headrace.cli.runs import call, collect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from headrace.model.deployments import Deployment

ALL_MAX = 1_000_000_000
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)\b", re.IGNORECASE)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(am|pm)?", re.IGNORECASE)


def list_deployments(flow_names: Sequence[str] = (), by_created: bool = False) -> list[Deployment]:
    """Return the deployments of these flows (of all without names): by name, or the newest first."""
    from headrace.model.deployments import DeploymentQuery, DeploymentSort
    from headrace.model.endpoints.deployments import FILTER_DEPLOYMENTS
    from headrace.model.run_filters import FlowFilter, FlowFilterName

    flows = FlowFilter(name=FlowFilterName(any_=list(flow_names))) if flow_names else None
    sort = DeploymentSort.CREATED_DESC if by_created else DeploymentSort.NAME_ASC

    def fetch(offset: int, count: int) -> Sequence[Deployment]:
        return call(FILTER_DEPLOYMENTS, DeploymentQuery(flows=flows, sort=sort, offset=offset, limit=count))

    return collect(ALL_MAX, fetch)


def flow_names(deployments: Sequence[Deployment]) -> dict[UUID, str]:
    """Return the names of the flows of these deployments, by id."""
    from headrace.model.endpoints.flows import FILTER_FLOWS
    from headrace.model.run_filters import FlowFilter, FlowFilterId
    from headrace.model.run_queries import FlowQuery

    wanted = sorted({one.flow_id for one in deployments})
    found: dict[UUID, str] = {}
    for first in range(0, len(wanted), 200):
        chosen = FlowFilter(id=FlowFilterId(any_=wanted[first : first + 200]))
        found |= {flow.id: flow.name for flow in call(FILTER_FLOWS, FlowQuery(flows=chosen))}
    return found


def full_names() -> dict[str, Deployment]:
    """Return all deployments by FLOW/DEPLOYMENT."""
    deployments = list_deployments()
    flows = flow_names(deployments)
    return {f"{flows.get(one.flow_id, '?')}/{one.name}": one for one in deployments}


def find_deployment(name: str | None, id: UUID | None = None) -> Deployment:
    """Return the deployment of that FLOW/DEPLOYMENT, or of that id. Ends the command when there is none."""
    from headrace.model.endpoints.deployments import READ_DEPLOYMENT, READ_DEPLOYMENT_BY_NAME
    from headrace.model.errors import ObjectNotFound, near

    if (name is None) == (id is None):
        raise click.UsageError("Give either the name of a deployment, as FLOW/DEPLOYMENT, or its --id.")
    if id is not None:
        return call(READ_DEPLOYMENT, id=id)
    assert name is not None, "one of both is given"
    flow, slash, deployment = name.partition("/")
    if not slash or not flow or not deployment:
        raise click.UsageError(f"{name!r} is no name of a deployment: give it as FLOW/DEPLOYMENT.")
    try:
        return call(READ_DEPLOYMENT_BY_NAME, flow_name=flow, deployment_name=deployment)
    except ObjectNotFound:
        known = full_names()
        fail(f"There is no deployment {name!r}. {near(name, known)}".rstrip(), "`headrace deployment ls` lists them.", code=4)


def complete_deployments(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of deployments to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in full_names() if name.startswith(typed)]


def start_time(start_in: str | None, start_at: str | None) -> datetime | None:
    """Return when a run is to start: `in 5 minutes`, or `5:30pm`, `tomorrow 9am`, `2024-08-01 17:30` in the machine's zone. None: now."""
    if start_in is not None and start_at is not None:
        raise click.UsageError("--start-in and --start-at exclude each other.")
    if start_in is not None:
        return _after(start_in)
    return _at(start_at) if start_at is not None else None


def _after(text: str) -> datetime:
    from headrace.model.clock import now

    rest = re.sub(r"^\s*in\s+", "", text, flags=re.IGNORECASE)
    rest = re.sub(r"\b(an?|one)\b", "1", rest, flags=re.IGNORECASE)
    parts = _PART.findall(rest)
    if not parts or re.sub(r"[\s,]|and", "", _PART.sub("", rest)):
        raise click.BadParameter(
            f"{text!r} is no span of time. Write it as 'in 5 minutes', '1 hour 30 minutes' or '2 days'.", param_hint="--start-in"
        )
    return now() + timedelta(**_summed(parts))


def _summed(parts: list[tuple[str, str]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for amount, unit in parts:
        name = _UNITS[unit[0].lower()]
        total[name] = total.get(name, 0) + float(amount)
    return total


def _at(text: str) -> datetime:
    from headrace.model.clock import now

    here = now().astimezone()
    rest = re.sub(r"^\s*(at|on)\s+", "", text.strip(), flags=re.IGNORECASE)
    try:
        moment = datetime.fromisoformat(rest)
    except ValueError:
        day = here
        for word, days in (("today", 0), ("tomorrow", 1)):
            if rest.lower().startswith(word):
                day, rest = here + timedelta(days=days), re.sub(r"^\s*(at\s+)?", "", rest[len(word) :], flags=re.IGNORECASE) or "0:00"
        found = _CLOCK.fullmatch(rest.strip())
        hour = _hour(found) if found is not None else 24
        if found is None or hour > 23:
            raise click.BadParameter(
                f"{text!r} is no time. Write it as '5:30pm', '17:30', 'tomorrow 9am' or '2024-08-01 17:30'.", param_hint="--start-at"
            ) from None
        moment = day.replace(hour=hour, minute=int(found[2] or 0), second=int(found[3] or 0), microsecond=0, tzinfo=None)
    return moment.astimezone() if moment.tzinfo is None else moment


def _hour(found: re.Match[str]) -> int:
    hour = int(found[1])
    if found[4] is None:
        return hour
    return hour % 12 + (12 if found[4].lower() == "pm" else 0) if 1 <= hour <= 12 else 24
