"""Resources, their labels, what matches them, and triggers of deployments, as code that uses the documented names sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from headrace.events import Event, RelatedResource, Resource
from headrace.events.filters import EventFilter
from headrace.events.related import object_as_related_resource, tags_as_related_resources
from headrace.events.schemas.automations import AutomationCore, CompoundTrigger, EventTrigger
from headrace.events.schemas.deployment_triggers import DeploymentEventTrigger, DeploymentTriggerTypes
from headrace.events.schemas.events import ResourceSpecification, matches
from headrace.events.schemas.labelling import LabelDiver
from headrace.model import ids


@pytest.mark.parametrize(
    ("expected", "value", "answer"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "ab", True),
        ("*", "", True),
        ("a*c", "abc", False),
        ("!a", "b", True),
        ("!a", "a", False),
        ("!a*", "ab", False),
        ("a", None, False),
        ("!a", None, False),
    ],
)
def test_a_value_matches_a_pattern(expected: str, value: str | None, answer: bool) -> None:
    assert matches(expected, value) is answer


def resource(**labels: str) -> Resource:
    return Resource({"prefect.resource.id": "thing.1", **labels})


def test_a_specification_asks_for_every_label() -> None:
    wanted = ResourceSpecification({"prefect.resource.id": "thing.*", "color": ["red", "blue"]})
    assert wanted.matches(resource(color="blue"))
    assert not wanted.matches(resource(color="green"))
    assert not wanted.matches(resource())
    assert wanted.includes([resource(), resource(color="red")])
    assert not wanted.includes([])
    assert ResourceSpecification({}).includes([])


def test_a_specification_says_whether_it_means_all_of_a_kind() -> None:
    kinds = {"prefect.flow-run.*": True, "*": True, "prefect.flow-run.1": False, "prefect.flow.*": False}
    for pattern, answer in kinds.items():
        assert ResourceSpecification({"prefect.resource.id": pattern}).matches_every_resource_of_kind("prefect.flow-run") is answer
    more = ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*", "color": "red"})
    assert not more.matches_every_resource_of_kind("prefect.flow-run")
    assert ResourceSpecification({}).matches_every_resource_of_kind("prefect.flow-run")


def test_a_copy_of_a_specification_shares_nothing() -> None:
    first = ResourceSpecification({"color": ["red"]})
    copy = first.deepcopy()
    copy["color"].append("blue")
    assert copy.pop("color") == ["red", "blue"]
    assert (first.get("color"), first.get("size"), len(copy)) == (["red"], None, 0)


def test_labels_are_reached_by_attributes() -> None:
    diver = LabelDiver({"hello.world": "foo", "hello.world.again": "bar"})
    assert (str(diver.hello.world), str(diver.hello.world.again), str(diver.hello)) == ("foo", "bar", "")
    assert list(diver.hello) == [("hello.world", "foo"), ("hello.world.again", "bar")]
    assert len(diver.hello.world.again) == 1
    with pytest.raises(AttributeError, match="'hello.moon'"):
        str(diver.hello.moon)


def test_a_resource_tells_its_labels() -> None:
    id = ids.new()
    found = Resource({"prefect.resource.id": f"prefect.flow-run.{id}", "color": "red"})
    assert found.prefect_object_id("prefect.flow-run") == id
    assert [label for label, _ in found] == ["prefect.resource.id", "color"]
    assert found.as_label_value_array()[1] == {"label": "color", "value": "red"}
    assert (found.has_all_labels({"color": "red"}), found.has_all_labels({"color": "blue"})) == (True, False)
    assert str(found.labels.color) == "red"
    with pytest.raises(ValueError, match=r"is not a prefect\.flow"):
        found.prefect_object_id("prefect.flow")


def test_objects_and_tags_become_related_resources() -> None:
    class Thing:
        id = ids.new()
        name = "one"

    related = object_as_related_resource("flow", "parent", Thing())
    assert related == RelatedResource(
        {"prefect.resource.id": f"prefect.flow.{Thing.id}", "prefect.resource.role": "parent", "prefect.resource.name": "one"}
    )
    assert [one.id for one in tags_as_related_resources({"b", "a"})] == ["prefect.tag.a", "prefect.tag.b"]


def test_times_are_in_utc_whatever_their_zone() -> None:
    labels = {"prefect.resource.id": "thing.1"}
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for given in ("2026-01-01T12:00:00", "2026-01-01T14:00:00+02:00"):
        event = Event.model_validate({"event": "x", "resource": labels, "occurred": given})
        assert (event.occurred, event.occurred.tzinfo) == (noon, UTC)
        assert EventFilter.model_validate({"occurred": {"since": given, "until": given}}).includes(event)


# --- triggers of deployments ------------------------------------------------------------------------------------------


def trigger(value: dict[str, Any]) -> Any:
    return TypeAdapter(DeploymentTriggerTypes).validate_python(value)


def test_a_trigger_of_a_deployment_becomes_an_automation() -> None:
    given = trigger(
        {
            "name": "uploads",
            "expect": ["s3.*"],
            "match": {"prefect.resource.id": "bucket/*"},
            "within": 60,
            "schedule_after": "PT1M",
            "parameters": {"id": "{{ event.id }}"},
        }
    )
    deployment = ids.new()
    given.set_deployment_id(deployment)
    made = given.as_automation()
    assert isinstance(made, AutomationCore)
    assert (made.name, made.enabled, made.owner_resource) == ("uploads", True, f"prefect.deployment.{deployment}")
    (action,) = made.actions
    assert (action.type, action.source, action.deployment_id) == ("run-deployment", "selected", deployment)
    assert (action.parameters, action.schedule_after) == ({"id": "{{ event.id }}"}, timedelta(minutes=1))
    shown = made.model_dump(mode="json")["trigger"]
    assert (shown["type"], shown["posture"], shown["within"], "parameters" in shown) == ("event", "Reactive", 60.0, False)


def test_a_trigger_must_know_its_deployment() -> None:
    given = DeploymentEventTrigger(expect={"x"})
    assert given.owner_resource() is None
    with pytest.raises(ValueError, match="set_deployment_id"):
        given.as_automation()


def test_triggers_of_deployments_nest_plain_ones() -> None:
    plain = {"posture": "Proactive", "expect": ["x"], "for_each": ["prefect.resource.id"]}
    given = trigger(
        {"type": "compound", "require": "any", "within": 5, "triggers": [plain, {"type": "sequence", "within": None, "triggers": [plain]}]}
    )
    assert isinstance(given, CompoundTrigger)
    assert isinstance(given.triggers[0], EventTrigger)
    assert given.num_expected_firings == 1
    assert given.describe_for_cli().splitlines()[:2] == ["Any of: within 0:00:05", "  Proactive: expecting 1 of x"]


def test_a_misspelt_field_of_a_trigger_is_refused() -> None:
    with pytest.raises(ValidationError, match="tresholds"):
        trigger({"expect": ["x"], "tresholds": 3})
