"""What a user of the original does, done by its unmodified client; what our server keeps of it is read through our own client."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from uuid import UUID

import pytest

from compat.conftest import Foreigner, all_completed, eventually, lines_of, runs_of, task_runs_of
from headrace.client.orchestration import SyncHeadraceClient
from headrace.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, DeploymentFilter


@pytest.mark.usefixtures("database")
def test_a_flow_with_tasks_and_log_lines(user: Foreigner, ours: SyncHeadraceClient) -> None:
    run_id = UUID(user.script("hello")["id"])
    run = ours.read_flow_run(run_id)
    assert run.state_name == "Completed" and run.run_count == 1 and run.parameters == {"name": "headrace"}
    tasks = eventually(lambda: all_completed(task_runs_of(ours, run_id), 3))
    assert {tuple(t.tags) for t in tasks} == {("sum",)} and all(t.start_time and t.end_time and t.run_count == 1 for t in tasks)
    states = [state.name for state in ours.read_task_run_states(tasks[0].id)]
    assert states == ["Pending", "Running", "Completed"]
    lines = eventually(lambda: [found for found in [lines_of(ours, run_id)] if any("Hello, headrace!" in line for line in found)])[0]
    assert sum("adding" in line for line in lines) == 3


@pytest.mark.usefixtures("database")
def test_retries_a_cached_task_and_a_subflow(user: Foreigner, ours: SyncHeadraceClient) -> None:
    told = user.script("retries_cache_subflow")
    assert told["state"] == "Failed" and told["parent"]["cached"] == "Cached"
    parent = UUID(told["parent"]["id"])
    shaky = eventually(lambda: [t for t in task_runs_of(ours, parent) if t.name.startswith("shaky") and t.state_name == "Completed"])[0]
    assert shaky.run_count == 3
    [child] = runs_of(ours, "child")
    assert child.state_name == "Completed" and child.parent_task_run_id is not None
    assert ours.read_task_run(child.parent_task_run_id).flow_run_id == parent
    stubborn = ours.read_flow_run(UUID(told["stubborn"]))
    assert stubborn.state_name == "Completed" and stubborn.run_count == 2
    assert "AwaitingRetry" in [state.name for state in ours.read_flow_run_states(stubborn.id)]
    assert ours.read_flow_run(UUID(told["hopeless"])).state_name == "Failed"


def test_artifacts_and_variables(user: Foreigner, ours: SyncHeadraceClient) -> None:
    assert user.script("artifacts_variables") == {"wheel": {"diameter": 5}}
    assert ours.read_variable_by_name("wheel").value == {"diameter": 5}
    assert ours.read_variable_by_name("gone") is None
    rivers = ours.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["rivers"])))
    assert len(rivers) == 2
    assert {a.type for a in ours.read_artifacts()} >= {"markdown", "table", "progress"}


@pytest.mark.usefixtures("database")
def test_blocks_with_secrets(user: Foreigner, ours: SyncHeadraceClient) -> None:
    assert user.script("blocks") == {"refused": True, "user": "ada"}
    hidden = ours.read_block_document_by_name("ada", "login", include_secrets=False)
    assert hidden.data["password"] == "********"
    nested = ours.read_block_document_by_name("main", "store", include_secrets=True)
    assert nested.data["login"]["password"] == "pw-1" and nested.data["address"] == "db2.example.org"


def test_pause_and_resume_with_input(user: Foreigner, ours: SyncHeadraceClient) -> None:
    waiting = user.start_script("pausing")
    paused = eventually(lambda: [run for run in runs_of(ours, "asks") if run.state_name == "Paused"])[0]
    refused = user.script("resume", str(paused.id), json.dumps({"sacks": "many"}))
    assert refused["status"] == "REJECT"
    first = paused.state.state_details.pause_key
    assert user.script("resume", str(paused.id), json.dumps({"sacks": 3}))["status"] == "ACCEPT"
    eventually(lambda: [r for r in runs_of(ours, "asks") if r.state_name == "Paused" and r.state.state_details.pause_key != first])
    assert user.script("resume", str(paused.id))["status"] == "ACCEPT"
    output, _ = waiting.communicate(timeout=60)
    assert "ANSWER 3 of rye" in output
    assert ours.read_flow_run(paused.id).state_name == "Completed"


@pytest.mark.usefixtures("database")
def test_concurrency_limits(user: Foreigner, ours: SyncHeadraceClient) -> None:
    assert user.script("concurrency") == {"most": 1}
    limits = {limit.name: limit for limit in ours.read_global_concurrency_limits(limit=10, offset=0)}
    assert limits["mill"].active_slots == 0 and limits["rate"].limit == 2
    assert ours.read_concurrency_limit_by_tag("wheel").active_slots == []


def test_serve_run_and_cancel(user: Foreigner, ours: SyncHeadraceClient) -> None:
    serving = user.start_script("served")
    eventually(lambda: ours.read_deployments(deployment_filter=DeploymentFilter.model_validate({"name": {"any_": ["stand"]}})))
    done = user.script("run_deployment", "served/stand", "{}")
    assert done["state"] == "Completed"
    assert ours.read_flow_run(UUID(done["id"])).deployment_id is not None
    user.cli("deployment", "run", "served/stand", "--param", "seconds=80")
    running = eventually(lambda: [run for run in runs_of(ours, "served") if run.state_name == "Running"])[0]
    user.cli("flow-run", "cancel", str(running.id))
    eventually(lambda: ours.read_flow_run(running.id).state_name == "Cancelled")
    serving.send_signal(signal.SIGINT)
    assert serving.wait(40) == 0
    [stand] = ours.read_deployments(deployment_filter=DeploymentFilter.model_validate({"name": {"any_": ["stand"]}}))
    assert stand.paused


def test_deploy_and_a_process_worker(user: Foreigner, ours: SyncHeadraceClient, tmp_path: Path) -> None:
    user.cli("work-pool", "create", "mill", "--type", "process")
    code = tmp_path / "code"
    code.mkdir()
    user.script("deploy", str(code))
    worker = user.start(str(user.python.parent / "prefect"), "worker", "start", "--pool", "mill", "--name", "wheel")
    done = user.script("run_deployment", "pooled/by-pool", json.dumps({"n": 5}))
    assert done["state"] == "Completed"
    run = ours.read_flow_run(UUID(done["id"]))
    assert run.parameters == {"n": 5} and run.work_pool_name == "mill"
    [online] = ours.read_workers_for_work_pool("mill")
    assert online.name == "wheel" and online.status == "ONLINE"
    eventually(lambda: ours.read_work_pool("mill").status == "READY")
    scheduled = eventually(lambda: [r for r in runs_of(ours, "pooled") if r.state_name == "Scheduled"])
    assert all("auto-scheduled" in run.tags for run in scheduled)
    worker.send_signal(signal.SIGINT)
    worker.wait(40)


@pytest.mark.usefixtures("database")
def test_events_out_and_in(user: Foreigner, ours: SyncHeadraceClient) -> None:
    heard = user.script("events")["heard"]
    assert sorted(heard) == ["mill.turned.0", "mill.turned.1", "mill.turned.2"]


def test_log_lines_are_heard(user: Foreigner) -> None:
    assert user.script("logs") == {"heard": "the wheel turns"}


@pytest.mark.usefixtures("database")
def test_background_tasks(user: Foreigner, ours: SyncHeadraceClient) -> None:
    user.start_script("background")
    told = user.script("delay")
    assert told["result"] == 42
    run = eventually(lambda: [r for r in [ours.read_task_run(UUID(told["id"]))] if r.state_name == "Completed"])[0]
    assert run.flow_run_id is None


def test_automations_are_kept(user: Foreigner, ours: SyncHeadraceClient) -> None:
    told = user.script("automations")
    assert told["description"] == "when water comes" and told["expect"] == ["mill.flooded"] and told["enabled"] is False
    kept = ours.read_automation(UUID(told["id"]))
    assert kept is not None and kept.name == "stop-the-mill"


def test_its_command_line(user: Foreigner, ours: SyncHeadraceClient, tmp_path: Path) -> None:
    user.script("hello")
    user.script("artifacts_variables")
    user.script("blocks")
    user.cli("work-pool", "create", "mill", "--type", "process")
    code = tmp_path / "code"
    code.mkdir()
    user.script("deploy", str(code))
    run = runs_of(ours, "hello")[0]
    assert run.name in user.cli("flow-run", "ls")
    assert str(run.id) in user.cli("flow-run", "inspect", str(run.id))
    assert "Hello, headrace!" in user.cli("flow-run", "logs", str(run.id))
    assert "hello" in user.cli("flow", "ls")
    assert "pooled/by-pool" in user.cli("deployment", "ls")
    assert "0 6 * * *" in user.cli("deployment", "inspect", "pooled/by-pool")
    assert "0 6 * * *" in user.cli("deployment", "schedule", "ls", "pooled/by-pool")
    user.cli("deployment", "run", "pooled/by-pool", "--param", "n=4")
    assert "mill" in user.cli("work-pool", "ls")
    assert "process" in user.cli("work-pool", "inspect", "mill")
    user.cli("work-pool", "pause", "mill")
    assert ours.read_work_pool("mill").is_paused
    user.cli("work-pool", "resume", "mill")
    user.cli("work-pool", "preview", "mill")
    user.cli("work-queue", "create", "fast", "--pool", "mill", "--priority", "1")
    assert "fast" in user.cli("work-queue", "ls", "--pool", "mill")
    assert "rivers" in user.cli("artifact", "ls")
    assert "wheel" in user.cli("variable", "ls")
    assert "login" in user.cli("block", "ls")
    assert "login" in user.cli("block", "type", "ls")
    user.cli("gcl", "create", "dam", "--limit", "3")
    assert "dam" in user.cli("gcl", "ls")
    assert "3" in user.cli("gcl", "inspect", "dam")
    user.cli("concurrency-limit", "create", "slow", "2")
    assert "slow" in user.cli("concurrency-limit", "ls")
    user.cli("deployment", "delete", "pooled/by-pool")
    assert ours.read_deployments() == []
    user.cli("flow-run", "delete", str(run.id))
    assert str(run.id) not in {str(left.id) for left in runs_of(ours, "hello")}


@pytest.mark.parametrize(
    "server_settings", [{"HEADRACE_SERVER_API_AUTH_STRING": "ada:lovelace", "HEADRACE_SERVER_API_CSRF_PROTECTION_ENABLED": "true"}]
)
def test_behind_a_password_and_csrf_tokens(user: Foreigner, ours: SyncHeadraceClient) -> None:
    user.variables["PREFECT_API_AUTH_STRING"] = "ada:lovelace"
    run_id = UUID(user.script("hello")["id"])
    eventually(lambda: len([t for t in task_runs_of(ours, run_id) if t.state_name == "Completed"]) == 3)
    assert user.script("blocks")["refused"]
    user.variables["PREFECT_API_AUTH_STRING"] = "ada:wrong"
    with pytest.raises(AssertionError, match="401|Unauthorized"):
        user.script("hello")
