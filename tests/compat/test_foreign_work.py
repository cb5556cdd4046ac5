"""More of what a user of the original does: async flows, workers with limits, suspended runs, and the rest of its command line."""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from compat.conftest import Foreigner, eventually, lines_of, runs_of, task_runs_of
from headrace.client.orchestration import SyncHeadraceClient


def test_async_flows_jittered_retries_transactions_and_kept_results(user: Foreigner, ours: SyncHeadraceClient) -> None:
    told = user.script("async_flow")
    assert {key: told[key] for key in ("tried", "squares", "undone", "waited")} == {
        "tried": 3,
        "squares": [4, 9, 16, 25],
        "undone": 1,
        "waited": "Completed",
    }
    run_id = UUID(told["id"])
    runs = eventually(lambda: [found for found in [task_runs_of(ours, run_id)] if len([r for r in found if r.state.is_final()]) == 6])[0]
    shaky = next(run for run in runs if run.name.startswith("shaky"))
    assert shaky.run_count == 3 and shaky.empirical_policy.retry_jitter_factor == 0.5
    assert [s.name for s in ours.read_task_run_states(shaky.id)].count("AwaitingRetry") == 2
    assert {run.state_name for run in runs if run.name.startswith("write")} == {"RolledBack"}


def start_worker(user: Foreigner, name: str) -> Any:
    return user.start(str(user.python.parent / "prefect"), "worker", "start", "--pool", "mill", "--name", name)


@pytest.fixture
def stalls(user: Foreigner, tmp_path: Path) -> None:
    """A process pool that runs one run at a time, and two deployments in it."""
    user.cli("work-pool", "create", "mill", "--type", "process")
    user.cli("work-pool", "set-concurrency-limit", "mill", "1")
    code = tmp_path / "code"
    code.mkdir()
    user.script("deploy_waiting", str(code))


@pytest.mark.usefixtures("database", "stalls")
def test_a_suspended_run_is_resumed_by_a_worker(user: Foreigner, ours: SyncHeadraceClient) -> None:
    start_worker(user, "wheel")
    user.cli("deployment", "run", "market/stall")
    suspended = eventually(lambda: [run for run in runs_of(ours, "market") if run.state_name == "Suspended"])[0]
    assert user.script("resume", str(suspended.id), json.dumps({"coins": 7}))["status"] == "ACCEPT"
    eventually(lambda: ours.read_flow_run(suspended.id).state_name == "Completed")
    states = [state.name for state in ours.read_flow_run_states(suspended.id)]
    assert states.index("Suspended") < states.index("Resuming") < states.index("Completed")


@pytest.mark.usefixtures("stalls")
def test_one_run_at_a_time_and_a_worker_that_is_killed(user: Foreigner, ours: SyncHeadraceClient) -> None:
    first_worker = start_worker(user, "first")
    user.cli("deployment", "run", "long/stall", "--param", "seconds=300")
    first = eventually(lambda: [run for run in runs_of(ours, "long") if run.state_name == "Running"])[0]
    eventually(lambda: "begun" in "".join(lines_of(ours, first.id)))
    user.cli("deployment", "run", "long/stall")
    second = next(run for run in runs_of(ours, "long") if run.id != first.id)
    assert ours.read_work_pool("mill").active_slots == 1
    os.killpg(first_worker.pid, signal.SIGKILL)
    start_worker(user, "second")
    eventually(lambda: {worker.name for worker in ours.read_workers_for_work_pool("mill")} == {"first", "second"})
    assert ours.read_flow_run(second.id).state_type == "SCHEDULED"  # the slot is taken until somebody ends the first
    user.cli("flow-run", "delete", str(first.id))
    eventually(lambda: ours.read_flow_run(second.id).state_name == "Completed")
    assert ours.read_work_pool("mill").active_slots == 0


def test_command_line_for_schedules_and_queues(user: Foreigner, ours: SyncHeadraceClient, tmp_path: Path) -> None:
    user.cli("work-pool", "create", "mill", "--type", "process")
    code = tmp_path / "code"
    code.mkdir()
    made = UUID(user.script("deploy", str(code))["id"])
    user.cli("deployment", "schedule", "create", "pooled/by-pool", "--interval", "3600")
    schedules = {str(getattr(one.schedule, "cron", "interval")): one for one in ours.read_deployment_schedules(made)}
    assert set(schedules) == {"0 6 * * *", "interval"}
    hourly = schedules["interval"].id
    user.cli("deployment", "schedule", "pause", "pooled/by-pool", str(hourly))
    assert [one.active for one in ours.read_deployment_schedules(made) if one.id == hourly] == [False]
    user.cli("deployment", "schedule", "resume", "pooled/by-pool", str(hourly))
    user.cli("deployment", "schedule", "delete", "pooled/by-pool", str(hourly), "--accept-yes")
    assert len(ours.read_deployment_schedules(made)) == 1
    user.cli("deployment", "schedule", "clear", "pooled/by-pool", "--accept-yes")
    assert ours.read_deployment_schedules(made) == []
    user.cli("work-queue", "create", "fast", "--pool", "mill", "--limit", "2")
    user.cli("work-queue", "pause", "fast", "--pool", "mill")
    user.cli("work-queue", "set-concurrency-limit", "fast", "5", "--pool", "mill")
    queue = ours.read_work_queue_by_name("fast", "mill")
    assert queue.is_paused and queue.concurrency_limit == 5
    assert "fast" in user.cli("work-queue", "inspect", "fast", "--pool", "mill")
    user.cli("--no-prompt", "work-queue", "delete", "fast", "--pool", "mill")
    assert [one.name for one in ours.read_work_queues("mill")] == ["default"]


BLOCK = """
from prefect.blocks.core import Block
from pydantic import SecretStr

class Sluice(Block):
    gate: str
    code: SecretStr
"""


def test_command_line_for_blocks_variables_and_task_runs(user: Foreigner, ours: SyncHeadraceClient, tmp_path: Path) -> None:
    run_id = user.script("hello")["id"]
    tasks = eventually(lambda: [found for found in [task_runs_of(ours, UUID(run_id))] if len(found) == 3])[0]
    assert str(tasks[0].id) in user.cli("task-run", "ls", "--limit", "10")
    assert tasks[0].name in user.cli("task-run", "inspect", str(tasks[0].id))
    assert "adding" in eventually(lambda: [said for said in [user.cli("task-run", "logs", str(tasks[0].id))] if "adding" in said])[0]
    user.cli("variable", "set", "mill_stone", '{"cm": 120}')
    assert ours.read_variable_by_name("mill_stone").value == {"cm": 120}
    assert "120" in user.cli("variable", "get", "mill_stone")
    user.cli("variable", "set", "mill_stone", "old", "--overwrite", "--tag", "worn")
    changed = ours.read_variable_by_name("mill_stone")
    assert changed.value == "old" and changed.tags == ["worn"]
    user.cli("--no-prompt", "variable", "unset", "mill_stone")
    assert ours.read_variable_by_name("mill_stone") is None
    (tmp_path / "sluice.py").write_text(BLOCK + '\nif __name__ == "__main__":\n    Sluice(gate="north", code="0000").save("main")\n')
    user.cli("block", "register", "--file", str(tmp_path / "sluice.py"))
    assert "sluice" in user.cli("block", "type", "inspect", "sluice")
    user.command(str(user.python), str(tmp_path / "sluice.py"))
    shown = user.cli("block", "inspect", "sluice/main")
    assert "north" in shown and "0000" not in shown
    user.cli("--no-prompt", "block", "delete", "sluice/main")
    assert "main" not in user.cli("block", "ls")


def test_command_line_for_automations_events_and_limits(user: Foreigner, ours: SyncHeadraceClient) -> None:
    user.script("automations")
    assert "stop-the-mill" in user.cli("automation", "ls")
    assert "mill.flooded" in user.cli("automation", "inspect", "stop-the-mill")
    user.cli("automation", "resume", "stop-the-mill")
    [kept] = ours.read_automations_by_name("stop-the-mill")
    assert kept.enabled
    user.cli("automation", "pause", "stop-the-mill")
    assert not ours.read_automation(kept.id).enabled
    user.cli("--no-prompt", "automation", "delete", "stop-the-mill")
    assert ours.read_automations_by_name("stop-the-mill") == []
    user.variables["PYTHONUNBUFFERED"] = "1"  # it does not flush what it prints into a pipe
    listening = user.start(str(user.python.parent / "prefect"), "event", "stream", "--format", "json")
    said = listening.stdout
    assert said is not None
    assert "Subscribing" in said.readline()
    heard: list[bytes] = []

    def has_heard() -> bool:
        user.cli("event", "emit", "mill.bell", "--resource-id", "mill.1")
        while select.select([said], [], [], 1.0)[0]:
            heard.append(os.read(said.fileno(), 65_536))
        return b'"event":"mill.bell"' in b"".join(heard)

    eventually(has_heard)
    user.cli("gcl", "create", "dam", "--limit", "3")
    user.cli("gcl", "update", "dam", "--limit", "4")
    user.cli("gcl", "disable", "dam")
    dam = ours.read_global_concurrency_limit_by_name("dam")
    assert dam.limit == 4 and not dam.active
