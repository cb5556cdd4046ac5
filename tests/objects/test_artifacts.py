"""Artifacts as users publish them, and how they are found again."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from headrace import artifacts
from headrace.artifacts import Artifact, LinkArtifact, MarkdownArtifact, TableArtifact
from headrace.client import current_run
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model.artifact_queries import CountArtifacts, CountLatestArtifacts, FilterArtifacts, FilterLatestArtifacts
from headrace.model.artifacts import ArtifactUpdate
from headrace.model.endpoints import artifact_queries as queries
from headrace.model.endpoints import artifacts as endpoints
from headrace.model.errors import ObjectNotFound
from objects.told import stored_events

pytestmark = pytest.mark.usefixtures("client")

FLOW_RUN, TASK_RUN = uuid4(), uuid4()


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


@pytest.fixture(autouse=True)
def run() -> Iterator[None]:
    token = current_run.set_run_ids(FLOW_RUN, TASK_RUN)
    yield
    current_run.reset(token)


def read(artifact_id: UUID) -> Any:
    return call(endpoints.READ_ARTIFACT, id=artifact_id)


@pytest.mark.parametrize(
    ("function", "value", "kind", "data"),
    [
        ("link", {"link": "https://x.y"}, "markdown", "[https://x.y](https://x.y)"),
        ("link", {"link": "https://x.y", "link_text": "there"}, "markdown", "[there](https://x.y)"),
        ("markdown", {"markdown": "# hi"}, "markdown", "# hi"),
        ("table", {"table": [{"a": 1.5, "b": float("nan")}]}, "table", '[{"a": 1.5, "b": null}]'),
        ("table", {"table": {"a": [1, float("inf")]}}, "table", '{"a": [1, null]}'),
        ("progress", {"progress": 12.5}, "progress", 12.5),
        ("image", {"image_url": "https://x.y/z.png"}, "image", "https://x.y/z.png"),
    ],
)
def test_each_kind_is_stored_in_its_form_under_its_run(function: str, value: dict[str, Any], kind: str, data: Any) -> None:
    made = read(getattr(artifacts, f"create_{function}_artifact")(key="k-1", description="d", **value))
    assert (made.type, made.data, made.key, made.description) == (kind, data, "k-1", "d")
    assert (made.flow_run_id, made.task_run_id) == (FLOW_RUN, TASK_RUN)


@pytest.mark.parametrize(("given", "kept"), [(150, 100.0), (-1, 0.0)])
def test_progress_stays_between_0_and_100_with_a_warning(given: float, kept: float) -> None:
    with pytest.warns(UserWarning, match="was set to") as warned:
        made = artifacts.create_progress_artifact(given)
    assert warned[0].filename == __file__
    assert read(made).data == kept


def test_progress_is_updated_in_place() -> None:
    made = artifacts.create_progress_artifact(10, key="p", description="d")
    assert artifacts.update_progress_artifact(made, 20) == made
    assert (read(made).data, read(made).description) == (20, "d")
    artifacts.update_progress_artifact(made, 30, description="e")
    assert (read(made).data, read(made).description) == (30, "e")
    with pytest.raises(ObjectNotFound, match="Artifact not found"):
        artifacts.update_progress_artifact(uuid4(), 1)


@pytest.mark.parametrize("key", ["Bad_Key", "a b", "ä"])
def test_bad_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="lowercase letters, numbers, and dashes"):
        artifacts.create_markdown_artifact("x", key=key)


def test_outside_of_runs_artifacts_are_stored_with_a_warning_at_the_callers_line() -> None:
    token = current_run.set_run_ids(None, None)
    try:
        with pytest.warns(FutureWarning, match="outside of a flow or task run") as warned:
            made = artifacts.create_markdown_artifact("x")
        assert warned[0].filename == __file__
        with warnings.catch_warnings(record=True) as again:
            warnings.simplefilter("always")
            MarkdownArtifact(markdown="x").create()
        assert again[0].filename == __file__
    finally:
        current_run.reset(token)
    assert read(made).flow_run_id is None


def test_the_latest_version_of_a_key_is_its_collection_and_all_stay_in_history() -> None:
    first = artifacts.create_markdown_artifact("1", key="report")
    second = artifacts.create_markdown_artifact("2", key="report")
    artifacts.create_markdown_artifact("unlisted")
    assert call(endpoints.READ_LATEST_ARTIFACT, key="report").id == second
    [collection] = call(queries.FILTER_LATEST_ARTIFACTS, FilterLatestArtifacts())
    assert (collection.key, collection.latest_id, collection.data) == ("report", second, "2")
    assert call(queries.COUNT_LATEST_ARTIFACTS, CountLatestArtifacts()) == 1
    assert call(queries.COUNT_ARTIFACTS, CountArtifacts()) == 3
    call(endpoints.DELETE_ARTIFACT, id=second)
    assert call(endpoints.READ_LATEST_ARTIFACT, key="report").id == first
    call(endpoints.DELETE_ARTIFACT, id=first)
    with pytest.raises(ObjectNotFound):
        call(endpoints.READ_LATEST_ARTIFACT, key="report")


def test_get_finds_the_version_that_changed_last() -> None:
    assert Artifact.get("report") is None
    first = artifacts.create_progress_artifact(1, key="report")
    artifacts.create_progress_artifact(2, key="report")
    artifacts.update_progress_artifact(first, 3)
    found = Artifact.get("report")
    assert found is not None
    assert (found.id, found.data) == (first, 3)


def test_get_or_create_creates_once() -> None:
    made, created = MarkdownArtifact.get_or_create(key="a", markdown="x")
    assert (made.data, created) == ("x", True)
    again, created = MarkdownArtifact.get_or_create(key="a", markdown="y")
    assert (again.id, created) == (made.id, False)
    assert TableArtifact.get_or_create(key="t", data=[[1]])[0].data == "[[1]]"


def test_an_artifact_of_any_type_can_be_made() -> None:
    made = Artifact(type="custom", key="c", data={"a": 1}).create()
    assert (made.type, json.loads(made.data)) == ("custom", {"a": 1})
    assert LinkArtifact(link="l").format() == "[l](l)"


def test_inside_an_event_loop_the_same_names_are_awaited() -> None:
    async def main() -> None:
        made: Any = await artifacts.create_link_artifact("l", key="a")
        assert read(made).key == "a"
        assert (await Artifact.aget("a")).id == made

    asyncio.run(main())


def test_artifacts_are_filtered_and_sorted() -> None:
    for key in ("b-two", "a-one", None):
        artifacts.create_markdown_artifact("x", key=key)
    artifacts.create_progress_artifact(1, key="c")

    def keys(wanted: dict[str, Any] | None = None, **values: Any) -> list[str | None]:
        found = call(queries.FILTER_ARTIFACTS, FilterArtifacts.model_validate({"artifacts": wanted, **values}))
        return [artifact.key for artifact in found]

    assert keys() == ["c", None, "a-one", "b-two"]
    assert keys({"key": {"exists_": True}}, sort="KEY_ASC") == ["a-one", "b-two", "c"]
    assert keys({"key": {"exists_": False}}) == [None]
    assert keys({"key": {"like_": "-"}}, sort="KEY_DESC", limit=1) == ["b-two"]
    assert keys({"type": {"not_any_": ["markdown"]}}) == ["c"]
    assert keys({"operator": "or_", "type": {"any_": ["progress"]}, "key": {"any_": ["a-one"]}}) == ["c", "a-one"]
    assert keys({"flow_run_id": {"any_": [FLOW_RUN]}, "task_run_id": {"any_": [uuid4()]}}) == []


def test_an_update_changes_only_what_is_given() -> None:
    made = artifacts.create_markdown_artifact("x", key="a", description="d")
    call(endpoints.UPDATE_ARTIFACT, ArtifactUpdate(metadata_={"m": "1"}), id=made)
    found = read(made)
    assert (found.data, found.description, found.metadata_) == ("x", "d", {"m": "1"})
    assert found.updated > found.created


def test_events_tell_of_making_and_changing() -> None:
    made = artifacts.create_progress_artifact(1, key="a", description="d")
    artifacts.update_progress_artifact(made, 2)
    updated, created = stored_events(event={"prefix": ["prefect.artifact."]})
    assert (created.event, created.resource.id, created.resource.name) == ("prefect.artifact.created", f"prefect.artifact.{made}", "a")
    assert created.payload == {"key": "a", "type": "progress", "description": "d"}
    assert (updated.event, updated.payload) == ("prefect.artifact.updated", {"data": 2})
    assert {(related.role, related.id) for related in created.related} == {
        ("flow-run", f"prefect.flow-run.{FLOW_RUN}"),
        ("task-run", f"prefect.task-run.{TASK_RUN}"),
    }


def test_artifacts_are_found_by_their_runs() -> None:
    from headrace import flow, task

    @task
    def publish() -> None:
        artifacts.create_markdown_artifact("x", key="from-task")

    @flow
    def report() -> None:
        publish()
        artifacts.create_markdown_artifact("x", key="from-flow")

    @flow
    def other() -> None:
        artifacts.create_markdown_artifact("x", key="from-other")

    report()
    other()

    def keys(**scope: Any) -> list[str | None]:
        body = FilterArtifacts.model_validate({"sort": "KEY_ASC", **scope})
        assert call(queries.COUNT_LATEST_ARTIFACTS, CountLatestArtifacts.model_validate(scope)) == len(call(queries.FILTER_ARTIFACTS, body))
        return [artifact.key for artifact in call(queries.FILTER_ARTIFACTS, body)]

    assert keys(flows={"name": {"any_": ["report"]}}) == ["from-flow", "from-task"]
    assert keys(task_runs={"name": {"like_": "publish"}}) == ["from-task"]
    assert keys(flow_runs={"state": {"type": {"any_": ["FAILED"]}}}) == []
