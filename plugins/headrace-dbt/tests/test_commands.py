"""Tasks that run dbt's command line in this process, and the block that runs it in processes, with real dbt on DuckDB."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
from pathlib import Path

import pytest

from headrace import flow
from headrace_dbt.cli import DbtCliProfile, DbtCoreOperation, GlobalConfigs, TargetConfigs
from headrace_dbt.cli.commands import (
    arun_dbt_seed,
    atrigger_dbt_cli_command,
    create_summary_markdown,
    dbt_build_task,
    run_dbt_build,
    run_dbt_model,
    run_dbt_seed,
    run_dbt_snapshot,
    run_dbt_source_freshness,
    run_dbt_test,
    trigger_dbt_cli_command,
)


@pytest.fixture
def profile() -> DbtCliProfile:
    target = TargetConfigs(type="duckdb", schema="main", threads=1, extras={"path": "dev.duckdb"})
    return DbtCliProfile(name="shop", target="dev", target_configs=target)


def test_build_makes_a_summary_and_logs_what_dbt_says(shop, seen):
    shop()

    @flow
    def build() -> bool:
        return dbt_build_task(profiles_dir=".", create_summary_artifact=True, extra_command_args=["--select", "raw_orders"]).success

    assert build()
    assert seen.states() == {"run_dbt_build-0": "COMPLETED"}
    (artifact,) = seen.artifacts()
    assert artifact.key == "dbt-build-task-summary"
    assert artifact.data.startswith("# dbt build Task Summary\n\n| Successes | Errors | Failures | Skips | Warnings |")
    assert "| 1 | 0 | 0 | 0 | 0 |" in artifact.data
    assert str(artifact.task_run_id) == str(seen.task_runs()["run_dbt_build-0"].id)
    assert [log for log in seen.logs() if "OK loaded seed file main.raw_orders" in log.message and log.task_run_id]


def test_a_failure_fails_the_task_after_its_summary(shop, seen):
    shop({"models/orders.sql": "select id, nothing from {{ ref('raw_orders') }}"})

    @flow
    def build() -> None:
        run_dbt_build(profiles_dir=".", create_summary_artifact=True, summary_artifact_key="what-came-of-it")

    with pytest.raises(RuntimeError, match=r"dbt build failed for 1 of its nodes:\nmodel orders: error: Runtime Error in model orders"):
        build()
    assert seen.states() == {"run_dbt_build-0": "FAILED"}
    (artifact,) = seen.artifacts()
    assert artifact.key == "what-came-of-it"
    assert "| 1 | 1 | 0 | 3 | 0 |" in artifact.data
    assert "**orders**\n\nType: model\n\nStatus: error\n\nMessage:\n\n```\nRuntime Error in model orders" in artifact.data
    assert "Compiled code:\n\n```sql\nselect id, nothing from" in artifact.data


def test_every_command_has_a_task(shop, seen):
    sources = (
        "sources: [{name: main, tables: [{name: raw_orders, loaded_at_field: now(), config: {freshness: {warn_after: {count: 1, period: day}}}}]}]\n"
    )
    snapshot = "snapshots: [{name: kept, relation: ref('raw_orders'), config: {unique_key: id, strategy: check, check_cols: all}}]\n"
    shop({"models/sources.yml": sources, "snapshots/kept.yml": snapshot})

    @flow
    def all_of_them() -> list[bool]:
        commands = (run_dbt_seed, run_dbt_model, run_dbt_test, run_dbt_snapshot, run_dbt_source_freshness)
        return [command(profiles_dir=".", create_summary_artifact=True).success for command in commands]

    assert all_of_them() == [True] * 5
    keys = {f"dbt-{name}-task-summary" for name in ("seed", "run", "test", "snapshot", "source-freshness")}
    assert {artifact.key for artifact in seen.artifacts()} == keys


def test_any_command_is_run(shop, seen):
    shop()

    @flow
    def listed() -> tuple[list[str], bool]:
        found = trigger_dbt_cli_command("dbt ls --select totals", profiles_dir=".", stream_output=False)
        return found.result, trigger_dbt_cli_command("debug", profiles_dir=Path(), project_dir=Path()).success

    assert listed() == (["shop.totals"], True)
    assert not [log for log in seen.logs() if log.message == "shop.totals"]
    with pytest.raises(RuntimeError, match="dbt sweep could not be run: No such command 'sweep'"):
        trigger_dbt_cli_command.fn("dbt sweep", profiles_dir=".")
    with pytest.raises(ValueError, match="names nothing"):
        trigger_dbt_cli_command.fn("dbt", profiles_dir=".")


def test_from_async_code(shop, seen):
    shop()

    @flow
    async def seed() -> list[bool]:
        results = [
            await run_dbt_seed(profiles_dir="."),
            await arun_dbt_seed(profiles_dir="."),
            await atrigger_dbt_cli_command("dbt seed", profiles_dir="."),
        ]
        return [result.success for result in results]

    assert asyncio.run(seed()) == [True] * 3
    assert set(seen.states()) == {"run_dbt_seed-0", "arun_dbt_seed-0", "atrigger_dbt_cli_command-0"}


def test_profiles_are_written_and_not_overwritten_unasked(shop, profile, monkeypatch):
    shop()
    run = trigger_dbt_cli_command.fn
    assert run("dbt seed", profiles_dir="profiles", dbt_cli_profile=profile).success
    file = Path("profiles/profiles.yml")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    assert "path: dev.duckdb" in before
    with pytest.raises(ValueError, match="There is a profiles.yml in profiles already"):
        run("dbt seed", profiles_dir="profiles", dbt_cli_profile=profile)
    assert run("dbt seed", profiles_dir="profiles").success
    other = profile.model_copy(update={"name": "other"})
    with pytest.raises(RuntimeError, match="Could not find profile named 'shop'"):
        run("dbt seed", profiles_dir="profiles", dbt_cli_profile=other, overwrite_profiles=True)
    with pytest.raises(ValueError, match="is to be overwritten, and no dbt_cli_profile is given"):
        run("dbt seed", profiles_dir="profiles", overwrite_profiles=True)
    with pytest.raises(ValueError, match=r"\.dbt/profiles.yml does not exist, and no dbt_cli_profile is given"):
        run("dbt seed")
    monkeypatch.setenv("DBT_PROFILES_DIR", str(Path.cwd()))
    assert run("dbt seed").success


def test_global_configs_hold(shop, profile):
    shop({"models/orders.sql": "select nothing from {{ ref('raw_orders') }}", "models/alone.sql": "select 1 as x"})
    strict = profile.model_copy(update={"global_configs": GlobalConfigs(fail_fast=True, write_json=False)})
    shutil.rmtree("target")
    with pytest.raises(RuntimeError, match="model orders: error"):
        trigger_dbt_cli_command.fn("dbt build --select orders totals", profiles_dir="profiles", dbt_cli_profile=strict)
    assert not Path("target/run_results.json").exists()


def test_what_names_no_command_needs_no_profile(capsys):
    assert trigger_dbt_cli_command.fn("dbt --help").success
    assert "An ELT tool" in capsys.readouterr().out


def test_a_summary_of_nothing_that_failed():
    assert "All nodes were successful." in create_summary_markdown({"Success": []}, "dbt run")


# --- the block ----------------------------------------------------------------------------------------------------------


def test_commands_of_dbt_and_of_the_shell_share_one_script(shop, profile, monkeypatch, tmp_path):
    folder = shop()
    monkeypatch.chdir(tmp_path)
    commands = ["pwd", "where=totals", "dbt --no-use-colors ls --select $where && dbt -q ls --select raw_orders"]
    operation = DbtCoreOperation(commands=commands, project_dir=folder, profiles_dir=tmp_path / "profiles", dbt_cli_profile=profile)
    lines = operation.run()
    assert lines[0] == str(tmp_path)
    assert "shop.totals" in lines
    assert lines[-1] == "shop.raw_orders"
    assert "DBT_PROFILES_DIR" not in os.environ


def test_an_operation_is_triggered_waited_for_and_closed(shop, headrace_caplog):
    shop()
    headrace_caplog.set_level(logging.INFO)
    with DbtCoreOperation(commands=["echo early", "sleep 300"], profiles_dir=".") as operation:
        process = operation.trigger()
    assert process.return_code is not None
    operation = DbtCoreOperation(commands=["echo wrong >&2", "exit 3"], profiles_dir=".")
    with pytest.raises(RuntimeError, match=r"PID \d+ failed with return code 3\.\nwrong"):
        operation.run()
    with pytest.raises(RuntimeError, match="return code 1"):
        DbtCoreOperation(commands=["false", "echo on"], profiles_dir=".", on_error="stop").run()
    assert DbtCoreOperation(commands=["false", "echo on"], profiles_dir=".").run() == ["on"]
    assert [text for text in headrace_caplog.messages if text.endswith("stream output: on")]


def test_an_operation_in_an_async_flow_ends_with_it(shop):
    shop()

    async def main() -> list[str]:
        operation = DbtCoreOperation(commands=["echo $$", "sleep 300"], profiles_dir=".")
        waiting = asyncio.create_task(operation.arun())
        while not (operation._processes and operation._processes[0]._lines):
            await asyncio.sleep(0.01)
        process = operation._processes[0]
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert process.return_code is not None
        async with DbtCoreOperation(commands=["echo hello"], profiles_dir=".") as other:
            return await other.run()

    assert asyncio.run(main()) == ["hello"]


def test_all_output_of_an_operation_is_read(shop):
    shop()
    lines = DbtCoreOperation(commands=["seq 1 20000"], profiles_dir=".", stream_output=False).run()
    assert lines == [str(number) for number in range(1, 20001)]


def test_an_operation_has_an_environment_of_its_own(shop):
    shop()
    operation = DbtCoreOperation(commands=["echo $API_KEY"], env={"DBT_PROFILES_DIR": ".", "API_KEY": "hidden-1", "PLACE": "here"})
    assert operation.run() == ["hidden-1"]  # and profiles.yml was found
    assert "hidden-1" not in repr(operation)
    assert "here" in repr(operation)


def test_a_saved_operation_runs_after_loading(shop, profile):
    shop()
    DbtCoreOperation(commands=["echo saved"], profiles_dir="profiles", dbt_cli_profile=profile, overwrite_profiles=True).save("greet")
    assert DbtCoreOperation.load("greet").run() == ["saved"]
    assert "dev.duckdb" in Path("profiles/profiles.yml").read_text()


def test_mistakes_are_told(shop):
    shop()
    with pytest.raises(FileNotFoundError, match="The shell 'no-such-shell' is not installed"):
        DbtCoreOperation(commands=["ls"], shell="no-such-shell", profiles_dir=".").run()
    with pytest.raises(NotADirectoryError, match="'nowhere' is no folder"):
        DbtCoreOperation(commands=["ls"], working_dir="nowhere", profiles_dir=".").run()
