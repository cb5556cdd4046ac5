"""Blocks inside flows and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace import flow, task
from headrace.blocks.core import Block
from headrace.blocks.notifications import SlackWebhook
from headrace.blocks.system import Secret
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.spool import close_process_spool
from headrace.filesystems import LocalFileSystem
from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
from headrace.model.endpoints.logs import FILTER_LOGS

pytestmark = pytest.mark.usefixtures("client")

HUSH = "hush-c0de"


@pytest.fixture(autouse=True)
def own_spool(home: Path) -> Iterator[None]:
    """Give the test an outbox in its own home."""
    close_process_spool()
    yield
    close_process_spool()


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


def test_blocks_load_in_blocking_and_async_runs() -> None:
    Secret(value=HUSH).save("s")

    @task
    def in_task() -> Any:
        return Secret.load("s").get()

    @flow
    def blocking() -> Any:
        return in_task(), Block.load("secret/s").get()

    @task
    async def in_async_task() -> Any:
        return (await Secret.load("s")).get()

    @flow
    async def in_loop() -> Any:
        return await in_async_task(), (await Block.aload("secret/s")).get()

    assert blocking() == (HUSH, HUSH)
    assert asyncio.run(in_loop()) == (HUSH, HUSH)


def test_a_block_as_a_parameter_is_recorded_without_its_secret() -> None:
    id = Secret(value=HUSH).save("s")

    @flow
    def uses(block: Secret[str]) -> Any:
        return block.get()

    assert uses(Secret.load("s")) == HUSH
    assert uses({"$ref": str(id)}) == HUSH
    runs = call(FILTER_FLOW_RUNS)
    assert len(runs) == 2
    assert HUSH not in str([run.parameters for run in runs])


def test_a_file_system_keeps_results(tmp_path: Path) -> None:
    files = LocalFileSystem(basepath=tmp_path / "results")
    files.save("results")

    @flow(persist_result=True, result_storage="local-file-system/results", result_serializer="json")
    def answer() -> int:
        return 42

    assert answer(return_state=True).result() == 42
    [path] = files.list_paths()
    assert b"42" in files.read_path(path)


def test_what_a_block_logs_in_a_run_is_kept_with_the_run() -> None:
    @flow
    def notifies() -> str:
        SlackWebhook(url=f"http://127.0.0.1:1/{HUSH}").notify("Hello")
        return "done"

    assert notifies() == "done"
    [run] = call(FILTER_FLOW_RUNS)
    [line] = [one for one in call(FILTER_LOGS) if "SlackWebhook" in one.message]
    assert line.flow_run_id == run.id
    assert "ConnectError" in line.message
    assert HUSH not in line.message
