"""The runner, with real dbt on DuckDB: task runs, logs, assets, failures."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from headrace import flow, task
from headrace.blocks.system import Secret
from headrace.runtime.flow_run import get_run_count
from headrace.variables import Variable
from headrace_dbt import HeadraceDbtRunner, HeadraceDbtSettings
from headrace_dbt.core.invocation import invoke
from headrace_dbt.sdk import EventLevel

NODES = ["model orders", "model totals", "seed raw_orders", "test not_null_orders_id", "test unique_orders_id"]


@flow
def run_dbt(*args: str, **options: object) -> object:
    return HeadraceDbtRunner(**options).invoke(list(args))


def invoked(*args: str, **options: object) -> object:
    @flow
    def run_dbt() -> bool:
        return HeadraceDbtRunner(**options).invoke(list(args)).success

    return run_dbt()


def test_each_node_is_a_task_run_with_its_logs_and_assets(shop, seen):
    shop()
    assert invoked("build")
    runs = seen.task_runs()
    assert sorted(runs) == NODES
    assert set(seen.states().values()) == {"COMPLETED"}
    sources = {name: [str(source.id) for source in run.task_inputs.get("upstream", [])] for name, run in runs.items()}
    assert sources["seed raw_orders"] == []
    assert sources["model orders"] == [str(runs["seed raw_orders"].id)]
    assert sources["model totals"] == [str(runs["model orders"].id)]  # through the ephemeral model

    texts = {log.message: log.task_run_id for log in seen.logs()}
    (created,) = [text for text in texts if "created sql table model main.totals" in text]
    assert texts[created] == runs["model totals"].id
    (found,) = [text for text in texts if text.startswith("Found 3 models")]
    assert texts[found] is None
    assert not [text for text in texts if "\x1b" in text or not text.strip()]

    made = {event.resource.id: event for event in seen.events("prefect.asset.materialization.succeeded")}
    assert sorted(made) == ["duckdb://dev/main/orders", "duckdb://dev/main/raw_orders", "duckdb://dev/main/totals"]
    orders = made["duckdb://dev/main/orders"]
    labels = orders.resource.model_dump()
    assert labels["prefect.resource.name"] == "dev.main.orders"
    assert labels["prefect.asset.description"] == "All orders"
    assert labels["prefect.asset.owners"] == '["kevin-g"]'
    related = {(one.role, one.id) for one in orders.related}
    assert ("asset", "duckdb://dev/main/raw_orders") in related
    assert ("asset-materialized-by", "dbt") in related
    assert orders.payload["unique_id"] == "model.shop.orders"
    assert orders.payload["node_status"] == "success"
    assert orders.payload["meta"] == {"owner": "kevin-g"}
    assert ("asset", "duckdb://dev/main/orders") in {(one.role, one.id) for one in made["duckdb://dev/main/totals"].related}


BROKEN = {
    "models/orders.sql": "select id, nothing from {{ ref('raw_orders') }}",
    "models/prices.sql": "select cast(null as integer) as price",
    "models/prices.yml": "models:\n  - {name: prices, columns: [{name: price, data_tests: [not_null]}]}\n",
    "models/after.sql": "select * from {{ ref('prices') }}",
}


def test_failures_of_nodes_are_told_and_do_not_stop_dbt(shop, seen):
    shop(BROKEN)
    with pytest.raises(ValueError, match="Failures detected during invocation of dbt command 'build':") as caught:
        invoked("build")
    text = str(caught.value)
    assert 'Model orders errored with message: "Runtime Error in model orders' in text
    assert 'failed with message: "Got 1 result, configured to fail if != 0"' in text
    states = seen.states()
    assert states["model orders"] == "FAILED"
    assert states["model prices"] == "COMPLETED"
    assert states["test not_null_prices_price"] == "FAILED"
    assert not {"model totals", "model after", "test unique_orders_id"} & states.keys()  # dbt skipped them
    run = seen.task_runs()["model orders"]
    assert run.state.message.endswith("Node model.shop.orders finished with status error")
    assert [event.resource.id for event in seen.events("prefect.asset.materialization.failed")] == ["duckdb://dev/main/orders"]


def test_hooks_of_the_project_are_task_runs_and_what_is_only_declared_is_none(shop, seen):
    project = SHOP_WITH_HOOKS.replace("HOOK", "create table started (x int)")
    declared = "exposures: [{name: page, type: dashboard, owner: {name: me}, depends_on: [ref('orders')]}]\n"
    shop({"dbt_project.yml": project, "models/declared.yml": declared})
    assert invoked("build", "--select", "raw_orders", "page")
    assert seen.states() == {"operation shop-on-run-start-0": "COMPLETED", "seed raw_orders": "COMPLETED", "operation shop-on-run-end-0": "COMPLETED"}
    Path("dbt_project.yml").write_text(SHOP_WITH_HOOKS.replace("HOOK", "select * from nowhere"))
    with pytest.raises(ValueError, match="Operation shop-on-run-start-0 errored with message"):
        invoked("seed")
    runs = seen.all_task_runs()
    assert [run.state.type.value for run in runs if run.name == "operation shop-on-run-start-0"] == ["FAILED", "COMPLETED"]


SHOP_WITH_HOOKS = (
    "name: shop\nversion: '1.0'\nprofile: shop\nmodel-paths: [models]\nseed-paths: [seeds]\nsnapshot-paths: [snapshots]\n"
    "on-run-start: ['HOOK']\non-run-end: ['select 1']\n"
)


@pytest.mark.parametrize("command", ["debug", "deps", "clean", "parse", "source freshness"])
def test_commands_without_nodes_run_too(shop, seen, command):
    shop()
    assert invoked(*command.split())
    assert seen.states() == {}
    assert seen.logs()


def test_failures_are_returned_on_request(shop, seen):
    shop(BROKEN)
    assert not invoked("build", raise_on_failure=False)
    with pytest.raises(ValueError, match="Failed to invoke dbt command 'build'"):
        invoked("build", "--no-such-option", raise_on_failure=False)
    Path("other").mkdir()
    Path("other/profiles.yml").write_text("shop: {target: dev, outputs: {dev: {type: oracle}}}")
    with pytest.raises(ValueError, match="Could not find adapter type oracle.* pip install dbt-oracle"):
        invoked("build", "--profiles-dir", "other")
    with pytest.raises(ValueError, match="No dbt_project.yml found"):
        invoked("build", "--project-dir", "models", raise_on_failure=False)


def test_retry_runs_what_failed(shop, seen):
    shop({"models/orders.sql": BROKEN["models/orders.sql"]})

    @flow(retries=1)
    def run_dbt() -> bool:
        runner = HeadraceDbtRunner()
        if get_run_count() == 1:
            with pytest.raises(ValueError, match="Cannot retry: there are no previous results"):
                runner.invoke(["retry"])
            return runner.invoke(["build"]).success
        Path("models/orders.sql").write_text("select id, amount from {{ ref('raw_orders') }}")
        return runner.invoke(["retry"]).success

    assert run_dbt()
    assert seen.states()["model totals"] == "COMPLETED"
    again = [event.resource.id for event in seen.events("prefect.asset.materialization.succeeded")]
    assert {"duckdb://dev/main/orders", "duckdb://dev/main/totals"} <= set(again)


def test_assets_can_be_switched_off(shop, seen):
    models = SWITCHED_OFF_MODELS
    shop(models)
    assert invoked("run", "--select", "one", "two", "three")
    assert [event.resource.id for event in seen.events("prefect.asset.materialization")] == ["duckdb://dev/main/three"]
    assert invoked("run", "--select", "three", disable_assets=True)
    assert len(seen.events("prefect.asset.materialization")) == 1
    assert invoked("compile", "--select", "three")
    assert len(seen.events("prefect.asset.materialization")) == 1  # nothing was made


SWITCHED_OFF_MODELS = {
    "models/one.sql": "{{ config(meta={'headrace': {'enable_assets': False}}) }} select 1 as x",
    "models/two.sql": "{{ config(meta={'prefect': {'enable_assets': False}}) }} select 1 as x",
    "models/three.sql": "select 1 as x",
}


def test_the_whole_project_can_have_no_assets(shop, seen):
    project = "name: shop\nversion: '1.0'\nprofile: shop\nmodels: {shop: {+headrace: {enable_assets: false}}}\n"
    shop({"dbt_project.yml": project})
    assert invoked("run", "--select", "orders", raise_on_failure=False) is not None
    assert seen.events("prefect.asset.materialization") == []


def test_compiled_code_is_told_with_the_asset(shop, seen):
    shop({"models/one.sql": "select {{ 1 + 1 }} as x"})
    assert invoked("run", "--select", "one", include_compiled_code=True)
    (event,) = seen.events("prefect.asset.materialization.succeeded")
    assert event.resource.model_dump()["prefect.asset.description"] == "### Compiled code\n```sql\nselect 2 as x\n```"


@pytest.mark.parametrize("how", ["setting", "environment", "argument", "keyword"])
def test_the_level_of_dbt_is_chosen(shop, seen, monkeypatch, how):
    shop()
    if how == "environment":
        monkeypatch.setenv("DBT_LOG_LEVEL", "error")
    settings = HeadraceDbtSettings(log_level=EventLevel.ERROR) if how == "setting" else HeadraceDbtSettings()

    @flow
    def run_dbt() -> None:
        keywords = {"log_level": "error"} if how == "keyword" else {}
        HeadraceDbtRunner(settings=settings).invoke(["seed", *(["--log-level", "error"] if how == "argument" else [])], **keywords)

    run_dbt()
    assert seen.states() == {"seed raw_orders": "COMPLETED"}
    assert not [log for log in seen.logs() if "raw_orders" in log.message]


def test_arguments_win_over_keywords_over_settings(shop, seen, monkeypatch, tmp_path):
    shop()
    monkeypatch.chdir(tmp_path)
    settings = HeadraceDbtSettings(project_dir="nowhere", profiles_dir=tmp_path / "work", target_path="other")

    @flow
    def run_dbt() -> None:
        runner = HeadraceDbtRunner(settings=settings)
        runner.invoke(
            ["--no-partial-parse", "ls", "--project-dir", str(tmp_path / "work")], project_dir="wrong", select=["orders", "totals"], target="dev"
        )

    run_dbt()
    assert (tmp_path / "work" / "other" / "manifest.json").is_file()
    assert {"shop.orders", "shop.totals"} <= {log.message for log in seen.logs()}


def test_blocks_and_variables_stand_in_profiles(shop, seen, monkeypatch):
    Secret(value="dev-secret.duckdb").save("place")
    Variable.set("target", "prod")
    text = (
        "shop:\n  target: '{{ headrace.variables.target }}'\n  outputs:\n"
        "    prod: {type: duckdb, path: '{{ headrace.blocks.secret.place }}', threads: 1}\n"
    )
    shop({"profiles.yml": text})
    before = dict(os.environ)
    assert invoked("seed")
    assert Path("dev-secret.duckdb").is_file()
    assert dict(os.environ) == before
    assert not [log for log in seen.logs() if "dev-secret" in log.message]
    written = [file for file in Path().rglob("*") if file.is_file() and file.suffix != ".duckdb" and b"dev-secret.duckdb" in file.read_bytes()]
    assert written == []


def test_a_missing_block_is_named(shop):
    shop({"profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, path: '{{ headrace.blocks.secret.place }}'}}}\n"})
    with pytest.raises(ValueError, match="There is no block secret/place"):
        invoked("seed")


def test_outside_of_runs_dbt_runs_as_it_is(shop, seen, capsys):
    shop()
    assert HeadraceDbtRunner().invoke(["seed"]).success
    assert "1 of 1 OK loaded seed file main.raw_orders" in capsys.readouterr().out
    assert seen.states() == {}
    assert HeadraceDbtRunner(_force_nodes_as_tasks=True).invoke(["seed"]).success
    assert seen.in_time(lambda: seen.states() == {"seed raw_orders": "COMPLETED"})


def test_the_manifest_is_kept(shop):
    shop()
    runner = HeadraceDbtRunner()
    assert runner.project_name == "shop"
    assert "model.shop.orders" in runner.graph.graph.nodes
    assert HeadraceDbtRunner(manifest=runner.manifest).invoke(["ls", "--select", "totals"], quiet=True).result == ["shop.totals"]
    with pytest.raises(ValueError, match="There is no manifest at nowhere"):
        _ = HeadraceDbtRunner(settings=HeadraceDbtSettings(project_dir="nowhere")).manifest


def test_in_tasks_and_async_flows(shop, seen):
    shop()

    @task
    def seed() -> bool:
        return HeadraceDbtRunner().invoke(["seed"]).success

    @flow
    async def run_dbt() -> bool:
        return seed() and (await HeadraceDbtRunner().ainvoke(["run", "--select", "orders"])).success

    @flow
    async def wait_for_dbt() -> bool:
        return HeadraceDbtRunner().invoke(["run", "--select", "totals"]).success

    assert asyncio.run(run_dbt())
    Secret(value="dev.duckdb").save("place")
    Path("profiles.yml").write_text(Path("profiles.yml").read_text().replace("dev.duckdb", '"{{ headrace.blocks.secret.place }}"'))
    assert asyncio.run(wait_for_dbt())
    runs = seen.task_runs()
    assert {"seed raw_orders", "model orders", "model totals"} <= runs.keys()
    assert [str(one.id) for one in runs["seed raw_orders"].task_inputs["__parents__"]] == [str(runs["seed-0"].id)]


def test_two_threads_take_turns(shop, seen, headrace_caplog):
    shop()

    @task
    def listed(name: str) -> list[str]:
        return HeadraceDbtRunner().invoke(["ls", "--select", name]).result

    @flow
    def both() -> list[list[str]]:
        return [future.result() for future in listed.map(["raw_orders", "totals"])]

    headrace_caplog.set_level(logging.INFO)
    assert both() == [["shop.raw_orders"], ["shop.totals"]]
    assert [text for text in headrace_caplog.messages if "this one waits for its end" in text]


def test_an_interrupt_passes_through_dbt(shop, seen):
    body = "    os.kill(os.getpid(), signal.SIGINT)\n    return session.sql('select 1')\n"
    shop({"models/stops.py": f"import os, signal\n\ndef model(dbt, session):\n{body}"})
    with pytest.raises(KeyboardInterrupt):
        invoked("run", "--select", "stops")
    assert seen.states()["model stops"] in ("COMPLETED", "FAILED")


@pytest.mark.parametrize("is_swallowed", [False, True])
def test_what_stops_a_run_is_no_error_of_dbt(shop, is_swallowed):
    shop()

    def stop(event: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            if is_swallowed:  # as libraries do that catch everything
                raise ValueError("Field 'x' is invalid") from error
            raise

    with pytest.raises(KeyboardInterrupt):
        invoke(["--log-level", "none", "ls", "--profiles-dir", "."], [stop])
