"""Flow runs in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headrace import flow, tags, task
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.flow_engine import load_flow, load_flow_and_flow_run, run_flow_in_subprocess
from headrace.model import ids
from headrace.model.endpoints.flow_runs import CREATE_FLOW_RUN, FILTER_FLOW_RUNS, READ_FLOW_RUN
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.errors import MissingFlowError, ObjectNotFound, SerializationError
from headrace.model.flow_runs import FlowRun, FlowRunCreate
from headrace.model.flows import FlowCreate
from headrace.model.run_queries import FlowRunQuery

SECONDS_MAX = 60


@task
def where(folder: str) -> str:
    return str(Path(folder) / str(os.getpid()))


@flow(persist_result=True)
def leaves_a_file(folder: str) -> str:
    path = where(folder)
    Path(path).write_text(os.environ.get("GREETING", ""))
    return path


@flow
async def async_one(folder: str) -> None:
    Path(folder, "async").touch()


@flow
def fails() -> None:
    raise ValueError("no")


def _runs() -> list[FlowRun]:
    return drive(current_client().call(FILTER_FLOW_RUNS, FlowRunQuery()))


def test_the_flow_runs_in_another_process_with_its_environment(tmp_path: Path) -> None:
    with tags("sent"):
        process = run_flow_in_subprocess(leaves_a_file, parameters={"folder": str(tmp_path)}, env={"GREETING": "hello"})
    process.join(SECONDS_MAX)

    assert process.exitcode == 0
    (run,) = _runs()
    assert (run.state_name, run.tags) == ("Completed", ["sent"])
    assert run.state is not None
    path = run.state.result()
    assert Path(path).read_text() == "hello"
    assert Path(path).name != str(os.getpid())
    assert "GREETING" not in os.environ


def test_async_flows_run_too(tmp_path: Path) -> None:
    process = run_flow_in_subprocess(async_one, parameters={"folder": str(tmp_path)})
    process.join(SECONDS_MAX)

    assert process.exitcode == 0
    assert (tmp_path / "async").exists()


def test_a_failed_run_ends_its_process_with_1() -> None:
    process = run_flow_in_subprocess(fails)
    process.join(SECONDS_MAX)

    assert process.exitcode == 1
    assert [run.state_name for run in _runs()] == ["Failed"]


def test_an_existing_run_is_taken_over(tmp_path: Path) -> None:
    run = _created("leaves-a-file", {"folder": str(tmp_path)})
    process = run_flow_in_subprocess(leaves_a_file, flow_run=run)
    process.join(SECONDS_MAX)

    assert process.exitcode == 0
    assert drive(current_client().call(READ_FLOW_RUN, id=run.id)).state_name == "Completed"
    assert len(_runs()) == 1


def test_what_cannot_be_pickled_is_told_before_anything_starts() -> None:
    import threading

    with pytest.raises(SerializationError, match="cannot be pickled to be sent to another process"):
        run_flow_in_subprocess(leaves_a_file, parameters={"folder": threading.Lock()})
    assert _runs() == []


def _created(flow_name: str, parameters: dict[str, Any]) -> FlowRun:
    owner: UUID = drive(current_client().call(CREATE_FLOW, FlowCreate(name=flow_name))).id
    return drive(current_client().call(CREATE_FLOW_RUN, FlowRunCreate(flow_id=owner, parameters=parameters)))


def test_the_flow_of_a_run_comes_from_the_entrypoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flows.py").write_text("from headrace import flow\n\n@flow\ndef found():\n    return 7\n")
    run = _created("found", {})
    with pytest.raises(MissingFlowError, match="HEADRACE__FLOW_ENTRYPOINT"):
        load_flow(run)
    monkeypatch.setenv("HEADRACE__FLOW_ENTRYPOINT", f"{tmp_path / 'flows.py'}:found")

    loaded_run, loaded = load_flow_and_flow_run(run.id)

    assert loaded_run.id == run.id
    assert loaded.name == "found"
    assert loaded() == 7
    with pytest.raises(ObjectNotFound):
        load_flow_and_flow_run(ids.new())
