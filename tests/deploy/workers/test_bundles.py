"""Flows that run on a pool's infrastructure without a deployment."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from headrace import flow
from headrace._experimental.bundles import (
    convert_step_to_command,
    create_bundle_for_flow_run,
    execute_bundle_from_file,
    execute_bundle_in_subprocess,
    extract_flow_from_bundle,
)
from headrace.cli.main import main
from headrace.client.orchestration import get_client
from headrace.exceptions import SerializationError
from headrace.flows import bind_flow_to_infrastructure
from headrace.model.flow_runs import FlowRun
from headrace.settings import temporary_settings
from headrace.states import Pending
from headrace.testing.server import running_server
from headrace.workers import ProcessWorker


@flow
def twice(number: int) -> int:
    return 2 * number


@flow
def broken(number: int) -> int:
    raise ValueError(f"not {number}")


def _run_of(one: Any, **parameters: Any) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.create_flow_run(one, parameters=parameters, state=Pending())


def test_a_bundle_holds_the_flow_and_runs_it(tmp_path: Path) -> None:
    run = _run_of(twice, number=4)
    made = create_bundle_for_flow_run(twice, run)
    assert made["zip_path"] is None
    assert extract_flow_from_bundle(made["bundle"])(3) == 6
    (tmp_path / "bundle").write_text(json.dumps(made["bundle"]))
    execute_bundle_from_file(str(tmp_path / "bundle"))
    again = _run_of(twice, number=5)
    process = execute_bundle_in_subprocess(create_bundle_for_flow_run(twice, again)["bundle"], cwd=tmp_path)
    process.join()
    assert process.exitcode == 0
    with get_client(sync_client=True) as client:
        assert [client.read_flow_run(one.id).state_name for one in (run, again)] == ["Completed", "Completed"]


def test_a_bundle_of_another_python_or_of_what_cannot_be_packed_is_refused() -> None:
    bundle = create_bundle_for_flow_run(twice, _run_of(twice, number=1))["bundle"]
    bundle["python"] = "3.9"
    with pytest.raises(SerializationError, match=r"3\.9"):
        extract_flow_from_bundle(bundle)
    lock = threading.Lock()

    @flow
    def holds_a_lock() -> bool:
        return lock.locked()

    with pytest.raises(SerializationError, match="holds-a-lock"):
        create_bundle_for_flow_run(holds_a_lock, _run_of(holds_a_lock))


def test_a_step_is_a_command_of_its_module() -> None:
    assert convert_step_to_command({"a.b": {"bucket_name": "x", "requires": "p>=1"}}, "k") == [
        *("uv", "run", "--with", "p>=1", "python", "-m", "a.b", "--bucket-name", "x", "--key", "k")
    ]
    assert convert_step_to_command({"a.b": {}}, "k", ["python3"]) == ["python3", "-m", "a.b", "--key", "k"]
    with pytest.raises(ValueError, match="names 2"):
        convert_step_to_command({"a": {}, "b": {}}, "k")


def test_options_of_a_bound_flow_change_and_its_pool_stays() -> None:
    bound = bind_flow_to_infrastructure(twice, "pool", ProcessWorker, job_variables={"env": {"A": "1"}}, launcher=["python"])
    changed = bound.with_options(name="thrice", job_variables={})
    assert (changed.name, changed.work_pool, changed.job_variables) == ("thrice", "pool", {})
    assert changed.launcher == bound.launcher == {"upload": ["python"], "execution": ["python"]}
    assert bound.name == "twice"


def test_a_bound_flow_runs_on_the_pool_and_gives_its_value() -> None:
    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        bound = bind_flow_to_infrastructure(twice, "pool", ProcessWorker)
        assert bound(21) == 42
        futures = [bound.submit(number) for number in (1, 2)]
        assert [future.result() for future in futures] == [2, 4]
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(futures[0].flow_run_id)
            assert bound.retry(run) == 2
            assert client.read_flow_run(run.id).run_count == 2
        failing = bind_flow_to_infrastructure(broken, "pool", ProcessWorker).submit(7)
        with pytest.raises(ValueError, match="not 7"):
            failing.result()


def test_a_pool_without_storage_is_refused_and_with_a_folder_a_worker_takes_the_run(tmp_path: Path) -> None:
    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        assert main(["work-pool", "create", "pool", "--type", "process"]) == 0
        bound = bind_flow_to_infrastructure(twice, "pool", ProcessWorker)
        with pytest.raises(RuntimeError, match="headrace work-pool storage configure"):
            bound.submit_to_work_pool(4)
        assert main(["work-pool", "storage", "configure", "local", "pool", "--folder", str(tmp_path / "bundles")]) == 0
        future = bound.submit_to_work_pool(4)
        asyncio.run(ProcessWorker("pool").start(run_once=True))
        assert future.result(timeout=10) == 8
        results = tmp_path / "bundles" / "results"
        assert len(list(results.iterdir())) == 1
        assert bound(5) == 10
        assert len(list(results.iterdir())) == 2
        with get_client(sync_client=True) as client:
            client.delete_block_document(client.read_block_document_by_name("pool-results", "local-file-system").id)
        with pytest.raises(RuntimeError, match="results of work pool 'pool' was deleted"):
            bound.submit_to_work_pool(4)


SCRIPT = """\
from headrace import flow
from headrace.flows import bind_flow_to_infrastructure
from headrace.workers import ProcessWorker


@flow
def adds(a: int, b: int) -> int:
    return a + b


bound = bind_flow_to_infrastructure(adds, "pool", ProcessWorker)
print(bound(1, 2))
bound.submit(3, 4)
"""


def test_a_script_ends_when_its_submitted_runs_are_seen_through(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        env = {**os.environ, "HEADRACE_API_URL": url, "HEADRACE_LOGGING_LEVEL": "ERROR"}
        ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
        assert (ended.stdout.strip(), ended.stderr) == ("3", "")
        with get_client(sync_client=True) as client:
            assert [run.state_name for run in client.read_flow_runs()] == ["Completed", "Completed"]
