"""Automations: what is accepted, what is refused, what comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from headrace.model import ids
from headrace.model.automations import (
    AutomationCount,
    AutomationCreate,
    AutomationPartialUpdate,
    AutomationQuery,
    AutomationUpdate,
)
from headrace.model.endpoints import automations as endpoints
from headrace.model.endpoints.events import FILTER_EVENTS
from headrace.model.errors import InvalidTemplate, ObjectNotFound
from headrace.model.event_filters import FilterEvents

EVENT: dict[str, Any] = {"type": "event", "posture": "Reactive", "expect": ["custom.fire"]}
NOTHING: list[dict[str, Any]] = [{"type": "do-nothing"}]


def automation(name: str = "one", **more: Any) -> AutomationCreate:
    return AutomationCreate.model_validate({"name": name, "trigger": EVENT, "actions": NOTHING, **more})


def test_an_automation_comes_back_as_it_was_made(server: Any) -> None:
    made = server(endpoints.CREATE_AUTOMATION, automation(tags=["x"]))
    assert server(endpoints.READ_AUTOMATION, id=made.id) == made
    shown = made.model_dump(mode="json", exclude={"id", "created", "updated"})
    assert UUID(shown["trigger"].pop("id"))
    assert shown == {
        "name": "one",
        "description": "",
        "enabled": True,
        "tags": ["x"],
        "trigger": {
            "type": "event",
            "match": {},
            "match_related": {},
            "after": [],
            "expect": ["custom.fire"],
            "for_each": [],
            "posture": "Reactive",
            "threshold": 1,
            "within": 0.0,
        },
        "actions": NOTHING,
        "actions_on_trigger": [],
        "actions_on_resolve": [],
    }


def test_triggers_get_new_ids_at_every_depth(server: Any) -> None:
    given = {**EVENT, "id": str(ids.new())}
    nested = {"type": "compound", "require": "all", "within": 60, "triggers": [given, {"type": "sequence", "within": None, "triggers": [given]}]}
    made = server(endpoints.CREATE_AUTOMATION, automation(trigger=nested))
    found = {str(one.id) for one in made.event_triggers()}
    assert len(found) == 2
    assert given["id"] not in found
    assert (made.trigger.within, made.trigger.triggers[1].within) == (timedelta(minutes=1), None)


def test_an_automation_is_replaced_switched_and_deleted(server: Any) -> None:
    made = server(endpoints.CREATE_AUTOMATION, automation(description="old", tags=["x"]))
    server(endpoints.UPDATE_AUTOMATION, AutomationUpdate.model_validate({"name": "two", "trigger": EVENT, "actions": []}), id=made.id)
    changed = server(endpoints.READ_AUTOMATION, id=made.id)
    assert (changed.name, changed.description, changed.tags, changed.actions) == ("two", "", [], [])
    assert changed.trigger.id != made.trigger.id
    server(endpoints.SWITCH_AUTOMATION, AutomationPartialUpdate(enabled=False), id=made.id)
    assert server(endpoints.READ_AUTOMATION, id=made.id).enabled is False
    server(endpoints.DELETE_AUTOMATION, id=made.id)
    with pytest.raises(ObjectNotFound, match="Automation not found"):
        server(endpoints.READ_AUTOMATION, id=made.id)
    told = [one.event for one in reversed(server(FILTER_EVENTS, FilterEvents()).events)]
    assert told == [f"prefect.automation.{happened}" for happened in ("created", "updated", "updated", "deleted")]


def test_an_unknown_automation_is_not_found(server: Any) -> None:
    id = ids.new()
    for endpoint, body in (
        (endpoints.UPDATE_AUTOMATION, AutomationUpdate.model_validate({"name": "x", "trigger": EVENT, "actions": []})),
        (endpoints.SWITCH_AUTOMATION, AutomationPartialUpdate()),
        (endpoints.DELETE_AUTOMATION, None),
    ):
        with pytest.raises(ObjectNotFound, match="Automation not found"):
            server(endpoint, body, id=id)


def test_automations_are_filtered_sorted_and_counted(server: Any) -> None:
    for name, tags in (("b", ["x", "y"]), ("a", ["x"]), ("c", [])):
        server(endpoints.CREATE_AUTOMATION, automation(name, tags=tags))
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["a", "b", "c"]),
        ({"sort": "CREATED_DESC", "limit": 2, "offset": 1}, ["a", "b"]),
        ({"automations": {"name": {"any_": ["a", "c"]}}}, ["a", "c"]),
        ({"automations": {"tags": {"all_": ["x", "y"]}}}, ["b"]),
        ({"automations": {"tags": {"any_": ["x", "z"]}}}, ["a", "b"]),
        ({"automations": {"tags": {"is_null_": True}}}, ["c"]),
        ({"automations": {"operator": "or_", "name": {"any_": ["c"]}, "tags": {"all_": ["y"]}}}, ["b", "c"]),
        ({"automations": {"created": {"before_": "2020-01-01T00:00:00Z"}}}, []),
    ]
    for query, expected in cases:
        assert [one.name for one in server(endpoints.FILTER_AUTOMATIONS, AutomationQuery.model_validate(query))] == expected, query
    assert server(endpoints.COUNT_AUTOMATIONS, AutomationCount.model_validate({"automations": {"tags": {"any_": ["x"]}}})) == 2


def test_automations_of_a_deployment_go_with_it(server: Any) -> None:
    owner = f"prefect.deployment.{ids.new()}"
    server(endpoints.CREATE_AUTOMATION, automation("own", owner_resource=owner))
    kept = server(endpoints.CREATE_AUTOMATION, automation("other", trigger={**EVENT, "match": {"prefect.resource.id": [owner, "!x", "y*"]}}))
    assert [one.name for one in server(endpoints.READ_RELATED_AUTOMATIONS, resource_id=owner)] == ["other", "own"]
    assert server(endpoints.READ_RELATED_AUTOMATIONS, resource_id="y*") == []
    server(endpoints.DELETE_OWNED_AUTOMATIONS, resource_id=owner)
    server(endpoints.DELETE_OWNED_AUTOMATIONS, resource_id=owner)
    assert [one.id for one in server(endpoints.FILTER_AUTOMATIONS, AutomationQuery())] == [kept.id]


def test_an_owner_stays_when_the_automation_is_replaced(server: Any) -> None:
    owner, pool = f"prefect.deployment.{ids.new()}", ids.new()
    made = server(endpoints.CREATE_AUTOMATION, automation(owner_resource=owner))
    actions = [{"type": "pause-work-pool", "work_pool_id": str(pool)}]
    server(endpoints.UPDATE_AUTOMATION, AutomationUpdate.model_validate({"name": "x", "trigger": EVENT, "actions": actions}), id=made.id)
    for resource in (owner, f"prefect.work-pool.{pool}"):
        assert [one.id for one in server(endpoints.READ_RELATED_AUTOMATIONS, resource_id=resource)] == [made.id]
    server(endpoints.DELETE_OWNED_AUTOMATIONS, resource_id=owner)
    assert server(endpoints.COUNT_AUTOMATIONS) == 0


@pytest.mark.parametrize(
    "action",
    [
        {"type": "send-notification", "block_document_id": str(ids.new()), "body": "{{ event.id"},
        {"type": "call-webhook", "block_document_id": str(ids.new()), "payload": "{% for %}"},
        {"type": "run-deployment", "source": "inferred", "parameters": {"a": ["{{ x"]}},
        {"type": "run-deployment", "source": "inferred", "parameters": {"a": {"__prefect_kind": "jinja", "template": "{{ x"}}},
    ],
)
def test_a_text_that_is_no_template_is_refused(server: Any, action: dict[str, Any]) -> None:
    with pytest.raises(InvalidTemplate):
        server(endpoints.CREATE_AUTOMATION, automation(actions=[action]))
    assert server(endpoints.COUNT_AUTOMATIONS) == 0


# --- shapes -----------------------------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], str]] = [
    ({"trigger": {"type": "metric", "posture": "Metric"}}, "does not match any of the expected tags"),
    ({"trigger": {"type": "event"}}, "Field required"),
    ({"trigger": {**EVENT, "posture": "Proactive", "within": 5}}, "greater than or equal to 10 seconds"),
    ({"trigger": {**EVENT, "within": -1}}, "greater than or equal to 0 seconds"),
    ({"trigger": {"type": "compound", "require": 2, "within": None, "triggers": [EVENT]}}, "less than or equal to the number of triggers"),
    ({"trigger": {"type": "compound", "require": 0, "within": None, "triggers": [EVENT]}}, "require must be at least 1"),
    ({"trigger": {"type": "sequence", "within": -1, "triggers": [EVENT]}}, "greater than or equal to 0 seconds"),
    ({"actions": [{"type": "dance"}]}, "does not match any of the expected tags"),
    ({"actions": [{"type": "pause-work-queue"}]}, "work_queue_id is required"),
    ({"actions": [{"type": "pause-automation", "source": "inferred", "automation_id": str(ids.new())}]}, "automation_id is not allowed"),
    ({"actions": [{"type": "run-deployment", "deployment_id": str(ids.new()), "schedule_after": -1}]}, "non-negative"),
    ({"unknown": 1}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("part", "problem"), BAD)
def test_what_is_no_automation_is_refused(part: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        automation(**part)


RUN = {"type": "run-deployment", "deployment_id": str(ids.new())}
INFERRED = {"type": "run-deployment", "source": "inferred"}
RUNS = {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.*"]}


@pytest.mark.parametrize(
    ("trigger", "action", "is_endless"),
    [
        (RUNS, INFERRED, True),
        (RUNS, RUN, True),
        ({**RUNS, "expect": []}, RUN, True),
        ({**RUNS, "expect": ["prefect.flow-run.Pending"], "match": {"prefect.resource.id": "prefect.flow-run.*"}}, RUN, True),
        ({"type": "sequence", "within": 1, "triggers": [EVENT, RUNS]}, INFERRED, True),
        ({**RUNS, "match": {"prefect.resource.id": "prefect.flow-run.*", "prefect.resource.name": "daily"}}, RUN, False),
        ({**RUNS, "match_related": {"prefect.resource.name": "daily"}}, RUN, False),
        ({**RUNS, "match_related": {"prefect.resource.name": "daily"}}, INFERRED, True),
        ({**RUNS, "expect": ["prefect.flow-run.Completed"]}, INFERRED, False),
        ({**RUNS, "expect": [], "match": {"prefect.resource.id": "s3.*"}}, INFERRED, False),
        ({**RUNS, "posture": "Proactive"}, INFERRED, False),
        (RUNS, {"type": "cancel-flow-run"}, False),
    ],
)
def test_what_would_run_for_ever_is_refused(trigger: dict[str, Any], action: dict[str, Any], is_endless: bool) -> None:
    if not is_endless:
        automation(trigger=trigger, actions=[action])
        return
    with pytest.raises(ValidationError, match="infinite loop of flow runs"):
        automation(trigger=trigger, actions=[action])


def test_a_proactive_trigger_waits_ten_seconds_unless_told() -> None:
    assert automation(trigger={**EVENT, "posture": "Proactive"}).trigger.within == timedelta(seconds=10)


def test_every_documented_action_is_taken() -> None:
    actions: list[dict[str, Any]] = [
        *({"type": kind} for kind in ("do-nothing", "cancel-flow-run", "delete-flow-run", "suspend-flow-run", "resume-flow-run")),
        *(
            {"type": f"{verb}-{kind}", "source": "inferred"}
            for verb in ("pause", "resume")
            for kind in ("deployment", "work-pool", "work-queue", "automation")
        ),
        {"type": "change-flow-run-state", "state": "FAILED"},
        {"type": "send-notification", "block_document_id": str(ids.new()), "body": "b"},
        {"type": "call-webhook", "block_document_id": str(ids.new())},
        RUN,
    ]
    made = automation(actions=actions)
    shown = TypeAdapter(list[dict[str, Any]]).validate_python(made.model_dump(mode="json")["actions"])
    assert [one["type"] for one in shown] == [one["type"] for one in actions]
    assert all(action.describe_for_cli() for action in made.actions)
