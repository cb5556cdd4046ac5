"""Logs out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from headrace.model.logs import Log
from headrace.model.run_filters import LogFilter
from headrace.server.logs.stream import log_matches_filter
from server.streams.wires import Api, in_thread, joined, line, received

RUN, TASK = str(uuid4()), str(uuid4())
NOW = datetime.now(UTC)

FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["debug", "info", "Error Text"]),
    ({"level": {"ge_": 20}}, ["info", "Error Text"]),
    ({"level": {"ge_": 20, "le_": 30}}, ["info"]),
    ({"flow_run_id": {"any_": [RUN]}}, ["info", "Error Text"]),
    ({"task_run_id": {"any_": [TASK]}}, ["Error Text"]),
    ({"task_run_id": {"is_null_": True}}, ["debug", "info"]),
    ({"timestamp": {"before_": (NOW - timedelta(hours=1)).isoformat()}}, ["debug"]),
    ({"timestamp": {"after_": (NOW - timedelta(hours=1)).isoformat()}}, ["info", "Error Text"]),
    ({"text": {"query": "error"}}, ["Error Text"]),
    ({"text": {"query": "info debug"}}, ["debug", "info"]),
    ({"text": {"query": "-info"}}, ["debug", "Error Text"]),
    ({"text": {"query": '"error text"'}}, ["Error Text"]),
    ({"operator": "or_", "level": {"le_": 10}, "task_run_id": {"any_": [TASK]}}, ["debug", "Error Text"]),
]


def _lines() -> list[dict[str, Any]]:
    return [
        line("debug", level=10, timestamp=(NOW - timedelta(days=1)).isoformat()),
        line("info", flow_run_id=RUN),
        line("Error Text", level=40, flow_run_id=RUN, task_run_id=TASK),
    ]


@pytest.mark.parametrize(("wanted", "messages"), FILTERS)
def test_a_filter_wants_the_same_lines_live_and_listed(api: Api, run: Any, wanted: dict[str, Any], messages: list[str]) -> None:
    async def body() -> list[str]:
        async with api.subscribed("/logs/out", wanted) as out:
            await joined("logs")
            await in_thread(api.post, "/logs/", _lines())
            return [one["message"] for one in await received(out, len(messages))]

    assert run(body()) == messages
    assert sorted(one["message"] for one in api.post("/logs/filter", {"logs": wanted})) == sorted(messages)
    assert [one["message"] for one in _lines() if log_matches_filter(Log.model_validate(one), LogFilter.model_validate(wanted))] == messages


def test_a_line_is_streamed_whole(api: Api, run: Any) -> None:
    sent = line("grüße\n", id=str(uuid4()), flow_run_id=RUN, timestamp="2026-11-21T01:51:04.020823Z")

    async def body() -> dict[str, Any]:
        async with api.subscribed("/logs/out") as out:
            await joined("logs")
            await in_thread(api.post, "/logs/", [sent])
            return (await received(out, 1))[0]

    assert run(body()) == {**sent, "task_run_id": None, "created": None, "updated": None}


def test_records_of_our_own_client_are_streamed_too(api: Api, run: Any) -> None:
    id = str(uuid4())

    async def body() -> dict[str, Any]:
        async with api.subscribed("/logs/out", {"flow_run_id": {"any_": [RUN]}}) as out:
            await joined("logs")
            stamp = int(NOW.timestamp() * 1_000_000)
            await in_thread(api.post, "/records", {"logs": [[id, "test", 20, "hello", stamp, RUN, None]]})
            await in_thread(api.post, "/records", {"logs": [[id, "test", 20, "hello", stamp, RUN, None]]})  # sent again
            await in_thread(api.post, "/logs/", [line("end", flow_run_id=RUN)])
            return [one["message"] for one in await received(out, 2)]

    assert run(body()) == ["hello", "end"]


@pytest.mark.parametrize("setting", ["STREAM_OUT_ENABLED", "STREAM_PUBLISHING_ENABLED"])
def test_switched_off_no_line_comes(serve: Callable[[], Api], run: Any, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(f"HEADRACE_SERVER_LOGS_{setting}", "false")
    api = serve()

    async def body() -> list[Any]:
        async with api.subscribed("/logs/out") as out:
            await (await out.ping())
            await in_thread(api.post, "/logs/", [line()])
            await (await out.ping())
            await out.close()
            return [json.loads(text) async for text in out]

    assert run(body()) == []


def test_lines_of_a_process_without_a_server_are_streamed(api: Api, run: Any) -> None:
    """A flow that runs embedded on the same file writes its lines there, and the server notices."""
    from headrace import flow, get_run_logger

    @flow
    def greet() -> None:
        get_run_logger().info("from the flow")

    async def body() -> list[str]:
        async with api.subscribed("/logs/out", {"text": {"query": '"from the flow"'}}) as out:
            await joined("logs")
            await in_thread(greet)
            return [one["message"] for one in await received(out, 1)]

    logging.getLogger("headrace").setLevel(logging.INFO)
    assert run(body()) == ["from the flow"]
