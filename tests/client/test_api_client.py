"""The documented clients, blocking and async."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.orchestration import HeadraceClient, SyncHeadraceClient, get_client
from headrace.client.schemas.filters import FlowRunFilter, LogFilter
from headrace.client.schemas.objects import StateType
from headrace.client.schemas.sorting import FlowRunSort
from headrace.exceptions import ObjectNotFound
from headrace.model import ids
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.flows import FlowCreate
from headrace.model.states import Completed, Failed, Paused, Running

pytestmark = pytest.mark.usefixtures("client")


@dataclass
class Flow:
    """As much of a flow as a client looks at."""

    name: str = "my-flow"
    version: str = "1"
    retries: int = 1
    retry_delay_seconds: float = 0


@dataclass
class Task:
    """As much of a task as a client looks at."""

    task_key: str = "t"
    version: str | None = None
    tags: frozenset[str] = frozenset({"b"})
    retries: int = 0
    retry_delay_seconds: float = 0
    retry_jitter_factor: float | None = None


def test_life_of_a_flow_run_with_the_blocking_client() -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(Flow(), parameters={"x": 1}, tags=["a"])
        assert client.set_flow_run_state(run.id, Running()).status == "ACCEPT"
        assert client.set_flow_run_state(str(run.id), Failed()).state.name == "AwaitingRetry"
        client.update_flow_run(run.id, tags=["z"], name="new")
        client.update_flow_run_labels(run.id, {"l": True})
        found = client.read_flow_run(run.id)
        assert (found.name, found.tags, found.parameters, found.flow_version, found.labels["l"]) == ("new", ["z"], {"x": 1}, "1", True)
        assert [state.type for state in client.read_flow_run_states(run.id)] == [StateType.PENDING, StateType.RUNNING, StateType.SCHEDULED]
        mine = FlowRunFilter.model_validate({"name": {"any_": ["new"]}})
        assert client.read_flow_runs(flow_run_filter=mine, sort=FlowRunSort.NAME_ASC) == [found]
        assert client.count_flow_runs(flow_run_filter=mine) == 1
        assert client.read_flow(found.flow_id) == client.read_flow_by_name("my-flow") == client.read_flows()[0]
        client.delete_flow_run(run.id)
        with pytest.raises(ObjectNotFound):
            client.read_flow_run(run.id)


def test_ids_are_taken_as_text() -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(Flow())
        assert client.read_flow_run(str(run.id)) == client.read_flow_run(run.id)
        assert client.read_flow_run_states(str(run.id)) == client.read_flow_run_states(run.id)
        with pytest.raises(ObjectNotFound):
            client.read_flow_run("my-run")


def test_life_of_a_task_run_with_the_async_client() -> None:
    async def live() -> None:
        async with get_client() as client:
            flow_run = await client.create_flow_run(Flow(), state=Running())
            run = await client.create_task_run(Task(), flow_run.id, "0", extra_tags=["a"], name="one")
            again = await client.create_task_run(Task(), flow_run.id, "0")
            assert (again.id, run.tags) == (run.id, ["a", "b"])
            await client.set_task_run_state(run.id, Running())
            answer = await client.set_task_run_state(run.id, Completed(data={"storage_key": "k"}))
            assert answer.state is not None
            assert answer.state.data == {"storage_key": "k"}
            await client.set_task_run_name(run.id, "two")
            assert [found.name for found in await client.read_task_runs()] == ["two"]
            assert len(await client.read_task_run_states(run.id)) == 3
            await client.create_logs([{"name": "x", "level": 20, "message": "m", "timestamp": datetime.now(UTC), "task_run_id": run.id}])
            lines = await client.read_logs(LogFilter.model_validate({"task_run_id": {"any_": [run.id]}}))
            assert [line.message for line in lines] == ["m"]
            await client.delete_task_run(run.id)
            await client.set_flow_run_state(flow_run.id, Paused())
            assert (await client.resume_flow_run(flow_run.id)).status == "ACCEPT"
            assert await client.hello() == "👋"

    asyncio.run(live())


def test_value_that_only_this_process_holds_is_not_sent() -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(Flow())
        client.set_flow_run_state(run.id, Completed(data=object()))
        assert client.read_flow_run(run.id).state.data is None


def test_blocking_client_works_while_a_loop_runs() -> None:
    async def read() -> int:
        with get_client(sync_client=True) as client:
            return client.count_flow_runs()

    assert asyncio.run(read()) == 0


def test_both_clients_have_the_same_methods() -> None:
    offered = {name for name, _ in inspect.getmembers(HeadraceClient, inspect.isfunction) if not name.startswith("_")}
    assert offered == {name for name, _ in inspect.getmembers(SyncHeadraceClient, inspect.isfunction) if not name.startswith("_")}
    assert "read_flow_runs" in offered


def test_client_is_opened_once_in_its_own_way() -> None:
    client = get_client(sync_client=True)
    with client, pytest.raises(RuntimeError, match="open already"):
        client.__enter__()
    with pytest.raises(RuntimeError, match="closed"):
        client.__enter__()
    with pytest.raises(RuntimeError, match="async with"):
        get_client().__enter__()


@pytest.mark.embedded
def test_healthcheck_answers_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    with get_client(sync_client=True) as client:
        assert client.api_healthcheck() is None
    from headrace.settings import HEADRACE_API_DATABASE_CONNECTION_URL, temporary_settings

    with temporary_settings({HEADRACE_API_DATABASE_CONNECTION_URL: "sqlite:////proc/nowhere/h.db"}), get_client(sync_client=True) as client:
        assert "cannot be made" in str(client.api_healthcheck())


@pytest.mark.embedded
def test_process_has_one_client_for_each_address() -> None:
    from headrace.settings import HEADRACE_API_DATABASE_CONNECTION_URL, temporary_settings

    first = current_client()
    assert current_client() is first
    with temporary_settings({HEADRACE_API_DATABASE_CONNECTION_URL: "sqlite://"}):
        assert current_client() is not first
        made = drive(current_client().call(CREATE_FLOW, FlowCreate(name="in memory")))
    with pytest.raises(ObjectNotFound), get_client(sync_client=True) as client:
        client.read_flow(made.id)


LIGHT = """
    import sys
    from headrace.client.bridge import drive
    from headrace.client.connect import current_client
    from headrace.model.endpoints.flow_runs import CREATE_FLOW_RUN, READ_FLOW_RUN, SET_FLOW_RUN_STATE
    from headrace.model.endpoints.flows import CREATE_FLOW
    from headrace.model.endpoints.records import RECORD
    from headrace.model.flow_runs import FlowRunCreate
    from headrace.model.flows import FlowCreate
    from headrace.model.orchestration import SetState
    from headrace.model.states import StateCreate
    call = lambda *given, **names: drive(current_client().call(*given, **names))
    run = call(CREATE_FLOW_RUN, FlowRunCreate(flow_id=call(CREATE_FLOW, FlowCreate(name="f")).id))
    call(SET_FLOW_RUN_STATE, SetState(state=StateCreate(type="RUNNING")), id=run.id)
    call(READ_FLOW_RUN, id=run.id)
    call(RECORD, {"task_runs": [], "logs": []})
    heavy = {"sqlalchemy", "alembic", "asyncio", "fastapi", "httpx", "rich", "headrace.model.run_filters", "headrace.model.task_runs"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.mark.embedded
def test_running_a_flow_loads_neither_sqlalchemy_nor_filters() -> None:
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(LIGHT)], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def test_missing_object_is_named() -> None:
    missing = ids.new()
    with get_client(sync_client=True) as client, pytest.raises(ObjectNotFound, match=str(missing)):
        client.set_flow_run_state(missing, Running())
