"""Runs of deployments, made from code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.served import Served, read_run, serving
from headrace import flow
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.news import news_of
from headrace.client.orchestration import get_client
from headrace.deployments import arun_deployment, run_deployment
from headrace.exceptions import ConfigurationError, FlowRunWaitTimeout, ObjectNotFound, ParameterTypeError
from headrace.flow_runs import wait_for_flow_run
from headrace.states import Completed

SCRIPT = """
    from headrace import flow

    @flow
    def child(n: int = 1):
        return n

    if __name__ == "__main__":
        child.serve("main", pause_on_shutdown=False)
"""


@pytest.fixture
def served(tmp_path: Path, api: str) -> Generator[Served]:
    with serving(tmp_path, SCRIPT) as found:
        yield found


def test_run_is_waited_for(served: Served) -> None:
    run = run_deployment("child/main", parameters={"n": 5}, flow_run_name="five", tags=["x"])
    assert (run.state_type, run.name, run.parameters, run.tags) == ("COMPLETED", "five", {"n": 5}, ["x"])
    again = [run_deployment("child/main", timeout=0, idempotency_key="once") for _ in range(2)]
    assert again[0].id == again[1].id


def test_inside_a_flow_the_run_is_its_subflow(served: Served) -> None:
    @flow
    def parent() -> list[Any]:
        return [run_deployment("child/main"), run_deployment("child/main", as_subflow=False)]

    @flow
    async def aparent() -> Any:
        return await arun_deployment("child/main")

    import asyncio

    linked, alone = parent()
    assert alone.parent_task_run_id is None
    for run in (linked, asyncio.run(aparent())):
        assert run.state_type == "COMPLETED"
        task_run = get_client(sync_client=True).read_task_run(run.parent_task_run_id)
        assert (task_run.name, task_run.state_type) == ("child/main", "COMPLETED")
        assert task_run.state.state_details.child_flow_run_id == run.id


def test_without_waiting_the_run_is_returned_as_it_is(api: str, tmp_path: Path) -> None:
    with serving(tmp_path, SCRIPT):
        pass
    run = run_deployment("child/main", timeout=0)
    assert run.state_type == "SCHEDULED"
    assert run_deployment("child/main", timeout=0.3).state_type == "SCHEDULED"
    assert read_run(run.id).deployment_id == run.deployment_id
    with pytest.raises(ParameterTypeError, match="'many'"):
        run_deployment("child/main", parameters={"n": "many"}, timeout=0)
    with pytest.raises(ObjectNotFound, match="child/main"):
        run_deployment("child/mian", timeout=0)


def test_wrong_calls_are_refused(api: str) -> None:
    with pytest.raises(ValueError, match="`timeout` must be positive"):
        run_deployment("a/b", timeout=-1)
    with pytest.raises(ValueError, match="flow-name/deployment-name"):
        run_deployment("nameless")


def test_server_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="headrace server start"):
        run_deployment("a/b")


# --- hearing of a run's end


async def _told_of_the_end(run: Any, end: Callable[[], Any]) -> list[bool]:
    """Wait for news of a run as whoever waits for its end: of the connection, then of what `end` does."""
    async with news_of(current_client(), run.id) as wait:
        connected = await wait(60, 60)
        end()
        return [connected, await wait(60, 60)]


@pytest.mark.usefixtures("api")
def test_the_server_tells_of_the_end_of_a_run_that_is_waited_for() -> None:
    @flow
    def empty() -> None: ...

    client = get_client(sync_client=True)
    for waiting in (asyncio.run, drive):
        run = client.create_flow_run(empty)
        assert waiting(_told_of_the_end(run, partial(client.set_flow_run_state, run.id, Completed(), force=True))) == [True, True]
        assert asyncio.run(wait_for_flow_run(run.id)).state_name == "Completed"
    left = [thread for thread in threading.enumerate() if thread.name == "headrace-news"]
    for thread in left:
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)


def test_without_a_server_nothing_is_told_and_the_run_is_looked_at() -> None:
    @flow
    def empty() -> None: ...

    run = get_client(sync_client=True).create_flow_run(empty)

    async def look() -> bool:
        async with news_of(current_client(), run.id) as wait:
            return await wait(0.01, 60)

    assert asyncio.run(look()) is False
    with pytest.raises(FlowRunWaitTimeout, match="it is Pending now"):
        asyncio.run(wait_for_flow_run(run.id, timeout=0.05))
