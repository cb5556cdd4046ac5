"""Assets: their keys, what tasks tell of them, and the events that follow from runs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from headrace import flow, task
from headrace.assets import Asset, AssetProperties, add_asset_metadata, materialize
from headrace.cache_policies import INPUTS
from objects.told import stored_events

pytestmark = pytest.mark.usefixtures("client")


def told() -> list[tuple[str, str, list[str], dict[str, Any]]]:
    """Return what was told of assets, in order: (event, key, keys of the assets upstream, payload)."""
    return [
        (
            event.event.removeprefix("prefect.asset."),
            event.resource.id,
            sorted(related.id for related in event.related if related.role == "asset"),
            event.payload,
        )
        for event in stored_events(event={"prefix": ["prefect.asset."]}, order="ASC")
    ]


@pytest.mark.parametrize("key", ["s3://bucket/data.csv", "postgres://db/schema/table", "x1://" + "a" * 500])
def test_addresses_are_keys(key: str) -> None:
    assert Asset(key=key).key == Asset(key).key == key


@pytest.mark.parametrize(
    "key", ["nouri", "S3://a", "s3://", "s3://a b", "s3://a#b", "s3://a?b", "s3://a&b", "s3://{a}", "s3://a\n", "s3://`", "s3://" + "a" * 512]
)
def test_other_texts_are_not(key: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Asset(key=key)


def test_an_asset_cannot_be_changed_and_descriptions_are_bounded() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Asset("s3://a/b").key = "s3://c"  # type: ignore[misc]  # that is the point
    with pytest.raises(ValueError, match="2500"):
        AssetProperties(description="x" * 2501)


@materialize("s3://a/one")
def make_one() -> str:
    return "one"


@materialize("s3://a/two", asset_deps=["s3://a/config"])
def make_two(source: Any) -> str:
    return f"two of {source}"


@task
def pass_on(value: Any) -> Any:
    return f"{value}, passed on"


@pytest.mark.parametrize("submitted", [False, True])
def test_upstream_assets_are_inferred_along_the_graph_and_reset_by_materializing(submitted: bool) -> None:
    @flow
    def work() -> None:
        if submitted:
            make_three.submit(pass_on.submit(make_two.submit(pass_on.submit(make_one.submit())))).wait()
        else:
            make_three(pass_on(make_two(pass_on(make_one()))))

    @materialize("s3://a/three")
    def make_three(source: Any) -> None: ...

    work()
    assert [one for one in told() if one[0] == "materialization.succeeded"] == [
        ("materialization.succeeded", "s3://a/one", [], {}),
        ("materialization.succeeded", "s3://a/two", ["s3://a/config", "s3://a/one"], {}),
        ("materialization.succeeded", "s3://a/three", ["s3://a/two"], {}),
    ]
    assert sorted(key for event, key, _, _ in told() if event == "referenced") == ["s3://a/config", "s3://a/one", "s3://a/two"]


def test_async_tasks_tell_the_same() -> None:
    @materialize("s3://a/one")
    async def one() -> str:
        add_asset_metadata("s3://a/one", {"rows": 1})
        return "one"

    @flow
    async def work() -> None:
        await two(await one())

    @materialize("s3://a/two")
    async def two(source: str) -> None: ...

    asyncio.run(work())
    assert told() == [
        ("materialization.succeeded", "s3://a/one", [], {"rows": 1}),
        ("referenced", "s3://a/one", [], {}),
        ("materialization.succeeded", "s3://a/two", ["s3://a/one"], {}),
    ]


def test_outside_of_flows_only_explicit_dependencies_are_known() -> None:
    make_two(make_one())
    assert told()[-1] == ("materialization.succeeded", "s3://a/two", ["s3://a/config"], {})


def test_dependencies_of_a_plain_task_are_passed_on() -> None:
    @task(asset_deps=["s3://a/raw"])
    def read() -> str:
        return "raw"

    @flow
    def work() -> None:
        make_two(read())

    work()
    assert told()[-1][2] == ["s3://a/config", "s3://a/raw"]


def test_a_failed_run_tells_once_after_its_last_attempt() -> None:
    attempts: list[int] = []

    @materialize("s3://a/one", asset_deps=["s3://a/raw"], retries=1)
    def fail() -> None:
        attempts.append(1)
        add_asset_metadata("s3://a/one", {"attempt": len(attempts)})
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert told() == [
        ("referenced", "s3://a/raw", [], {}),
        ("materialization.failed", "s3://a/one", ["s3://a/raw"], {"attempt": 2}),
    ]


def test_a_run_found_in_the_cache_tells_nothing() -> None:
    @materialize("s3://a/one", cache_policy=INPUTS)
    def make(number: int) -> int:
        return number

    assert make(1) == make(1) == 1
    assert [event for event, *_ in told()] == ["materialization.succeeded"]


def test_properties_and_the_tool_are_told() -> None:
    asset = Asset("s3://a/one", AssetProperties(name="One", owners=["me"], url="https://x.y"))

    @materialize(asset, by="dbt")
    def make() -> None: ...

    make()
    [event] = stored_events(event={"prefix": ["prefect.asset."]})
    assert event.resource.root == {
        "prefect.resource.id": "s3://a/one",
        "prefect.resource.name": "One",
        "prefect.asset.url": "https://x.y",
        "prefect.asset.owners": json.dumps(["me"]),
    }
    assert event.resource_in_role["asset-materialized-by"].id == "dbt"


def test_metadata_adds_up() -> None:
    asset = Asset("s3://a/one")

    @materialize(asset)
    def make() -> None:
        asset.add_metadata({"rows": 1, "raw": 2})
        asset.add_metadata({"rows": 3})

    make()
    assert told()[0][3] == {"rows": 3, "raw": 2}


def test_metadata_needs_a_task_that_materializes_the_asset() -> None:
    @materialize("s3://a/one")
    def make() -> None:
        add_asset_metadata("s3://a/other", {})

    @task
    def plain() -> None:
        add_asset_metadata("s3://a/one", {})

    with pytest.raises(RuntimeError, match="not inside of a task"):
        add_asset_metadata("s3://a/one", {})
    with pytest.raises(ValueError, match=r"does not materialize 's3://a/other'.* It materializes: 's3://a/one'"):
        make()
    with pytest.raises(ValueError, match="It materializes: nothing"):
        plain()


@pytest.mark.parametrize("wrong", [(), (len,)])
def test_materialize_needs_assets(wrong: Any) -> None:
    with pytest.raises(TypeError, match="at least one asset"):
        materialize(*wrong)


def test_options_of_a_materializing_task_can_be_changed() -> None:
    changed = make_two.with_options(name="renamed")
    assert (changed.name, [asset.key for asset in changed.assets]) == ("renamed", ["s3://a/two"])
    assert [asset.key for asset in make_two.with_options(assets=["s3://b"]).assets] == ["s3://b"]
    with pytest.raises(TypeError, match="unexpected option 'nme'"):
        make_two.with_options(nme="x")
