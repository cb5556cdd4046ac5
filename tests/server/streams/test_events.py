"""Events in and out."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from headrace.server.streams import bus
from server.streams.wires import SECONDS, Api, event, in_thread, joined, received


async def _send(api: Api, *events: Any) -> None:
    async with api.open("/events/in") as socket:
        for one in events:
            await socket.send(one if isinstance(one, str) else json.dumps(one))


async def _stored(api: Api, count: int, name: str = "test.") -> list[dict[str, Any]]:
    """Wait until so many events are stored, and return them."""
    wanted = {"filter": {"event": {"prefix": [name]}, "order": "ASC"}, "limit": 50}
    async with asyncio.timeout(SECONDS):
        while True:
            page = await in_thread(api.post, "/events/filter", wanted)
            if page["total"] >= count:
                return page["events"]
            await asyncio.sleep(0.01)


def test_an_event_is_stored_and_streamed_as_it_was_sent(api: Api, run: Any) -> None:
    related = [{"prefect.resource.id": "test.2", "prefect.resource.role": "part"}]
    sent = event(payload={"a": [1, "ü"]}, related=related)

    async def body() -> None:
        async with api.subscribed("/events/out") as out:
            await _send(api, sent)
            (got,) = await received(out, 1)
        (stored,) = await _stored(api, 1)
        for found in (got, stored):
            occurred = datetime.fromisoformat(found.pop("occurred"))
            assert occurred == datetime.fromisoformat(sent["occurred"])
            assert abs(datetime.fromisoformat(found.pop("received")) - datetime.now(UTC)) < timedelta(minutes=1)
            assert found == {key: value for key, value in sent.items() if key != "occurred"}

    run(body())


def test_a_bad_event_is_left_out_and_the_stream_goes_on(api: Api, run: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = [event(), event()]
    with caplog.at_level(logging.WARNING, "headrace.server.streams"):
        run(_send(api, good[0], {"event": "x"}, "hello", "{},{}", event(resource={}), good[1]))
        stored = run(_stored(api, 2))
    assert [one["id"] for one in stored] == [one["id"] for one in good]
    assert len(caplog.messages) == 4
    assert all("/events/in is left out" in message for message in caplog.messages)
    assert "resource: Field required" in caplog.text


def test_an_event_beyond_the_limits_is_left_out_and_the_stream_goes_on(api: Api, run: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = [event(), event()]
    many = event(related=[{"prefect.resource.id": f"test.{n}", "prefect.resource.role": "part"} for n in range(101)])
    labelled = event(resource={"prefect.resource.id": "test.1", **{str(n): "" for n in range(500)}})
    with caplog.at_level(logging.WARNING, "headrace.server.streams"):
        run(_send(api, good[0], many, labelled, good[1]))
        stored = run(_stored(api, 2))
    assert [one["id"] for one in stored] == [one["id"] for one in good]
    assert len(caplog.messages) == 2
    assert "has 101 related resources, and 100 are allowed" in caplog.messages[0]
    assert "has 501 labels, and 500 are allowed" in caplog.messages[1]


def test_an_event_sent_twice_is_stored_and_streamed_once(api: Api, run: Any) -> None:
    first, second = event(), event()

    async def body() -> list[str]:
        async with api.subscribed("/events/out") as out:
            await _send(api, first, first)
            await _send(api, first, second)
            return [one["id"] for one in await received(out, 2)]

    assert run(body()) == [first["id"], second["id"]]


def test_too_large_an_event_is_left_out(serve: Callable[[], Api], run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_EVENTS_MAXIMUM_SIZE_BYTES", "1000")
    api, small = serve(), event()
    run(_send(api, event(payload={"a": "x" * 1000}), small))
    assert [one["id"] for one in run(_stored(api, 1))] == [small["id"]]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"event": {"prefix": ["test.a"]}}, ["a"]),
    ({"event": {"exclude_prefix": ["test.a", "end", "prefect."]}}, ["b", "c"]),
    ({"event": {"name": ["test.b", "test.c"]}}, ["b", "c"]),
    ({"resource": {"id": ["thing.b"]}}, ["b"]),
    ({"related": {"role": ["flow"], "id": ["flow.c"]}}, ["c"]),
    ({"related": [{"role": ["flow"]}, {"labels": {"prefect.resource.name": "it*"}}]}, ["b"]),
    ({"any_resource": {"id_prefix": ["flow."]}}, ["b", "c"]),
    ({"text": {"query": "payload-of-a"}}, ["a"]),
    ({"event": {"prefix": ["test."]}}, ["a", "b", "c"]),
]


@pytest.mark.parametrize("backfill", [True, False])
def test_the_past_and_the_live_stream_are_filtered_alike(database: str, serve: Callable[[], Api], run: Any, backfill: bool) -> None:
    api = serve()

    def related(letter: str, **labels: str) -> list[dict[str, str]]:
        return [{"prefect.resource.id": f"flow.{letter}", "prefect.resource.role": "flow", **labels}]

    def made(letter: str, **more: Any) -> dict[str, Any]:
        payload = {"text": f"payload-of-{letter}"}
        return event(f"test.{letter}", resource={"prefect.resource.id": f"thing.{letter}"}, payload=payload, **more)

    sent = [made("a"), made("b", related=related("b", **{"prefect.resource.name": "item"})), made("c", related=related("c")), event("end")]

    async def body() -> None:
        if backfill:
            await in_thread(api.post, "/events", sent)
        for wanted, letters in FILTERS:
            name = {"name": [f"test.{letter}" for letter in letters]}
            async with api.subscribed("/events/out", wanted, backfill=backfill) as out:
                if not backfill:
                    await joined("events")
                    await in_thread(api.post, "/events", [{**one, "id": event()["id"]} for one in sent])
                got = await received(out, len(letters))
            assert [one["event"] for one in got] == name["name"], wanted

    run(body())


def test_the_past_goes_back_no_further_than_the_setting(serve: Callable[[], Api], run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL", "60")
    monkeypatch.setenv("HEADRACE_SERVER_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE", "2")
    api, now = serve(), datetime.now(UTC)
    ages = [90, 50, 40, 30, 20, 10]
    api.post("/events", [event(occurred=(now - timedelta(seconds=age)).isoformat(), payload={"age": age}) for age in ages])

    wanted = {"occurred": {"since": (now - timedelta(days=1)).isoformat()}}

    async def body() -> list[int]:
        async with api.subscribed("/events/out", {**wanted, "event": {"prefix": ["test."]}}) as out:
            return [one["payload"]["age"] for one in await received(out, 5)]

    assert run(body()) == ages[1:]


def test_nothing_is_missed_and_nothing_comes_twice_between_past_and_present(database: str, serve: Callable[[], Api], run: Any) -> None:
    """Writers go on all the while that subscribers join."""
    api, count, writers = serve(), 400, 3

    async def write(number: int) -> None:
        async with api.open("/events/in") as socket:
            for n in range(count):
                late = datetime.now(UTC) - timedelta(seconds=(n * 7) % 300)  # not in the order of their times
                await socket.send(json.dumps(event(f"test.{number}", occurred=late.isoformat(), payload={"n": n})))
                if n % 20 == 0:
                    await asyncio.sleep(0.005)

    async def subscribe(delay: float) -> list[str]:
        await asyncio.sleep(delay)
        async with api.subscribed("/events/out") as out:
            return [one["id"] for one in await received(out, count * writers)]

    async def body() -> None:
        subscribers = [asyncio.ensure_future(subscribe(n * 0.05)) for n in range(6)]
        await asyncio.gather(*(write(number) for number in range(writers)))
        for found in await asyncio.gather(*subscribers):
            assert len(set(found)) == count * writers

    run(body())


def test_a_burst_larger_than_the_queue_reaches_whoever_reads(api: Api, run: Any) -> None:
    sent = [event() for _ in range(bus.QUEUE_MAX * 6)]

    async def body() -> list[str]:
        async with api.subscribed("/events/out") as out:
            await in_thread(api.post, "/events", sent)
            return [one["id"] for one in await received(out, len(sent))]

    found = run(body())
    assert sorted(found) == sorted(one["id"] for one in sent)


def test_who_does_not_read_is_sent_away_and_holds_up_nobody(api: Api, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "QUEUE_MAX", 50)
    monkeypatch.setattr(bus, "HELD_MAX", 50)
    batch = 20

    async def body() -> None:
        async with api.subscribed("/events/out") as slow, api.subscribed("/events/out") as quick:
            slow.transport.pause_reading()
            sent = 0
            while sent < 160:
                await in_thread(api.post, "/events", [event(payload={"a": token_hex(80_000)}) for _ in range(batch)])
                assert len(await received(quick, batch)) == batch
                sent += batch
            slow.transport.resume_reading()
            got = 0
            async with asyncio.timeout(SECONDS):
                with suppress(ConnectionClosed):
                    async for _ in slow:
                        got += 1
            assert got < sent
            assert slow.close_code == 1013
            assert (slow.close_reason or "").startswith("Too slow: ")

    run(body())


def test_events_wait_while_the_database_cannot_be_written(
    api: Api, home: Path, run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("headrace.store.database.BUSY_TIMEOUT_SECONDS", 0.05)
    sent = [event() for _ in range(20)]

    async def until_refused() -> None:
        async with asyncio.timeout(SECONDS):
            while "cannot be recorded now" not in caplog.text:
                await asyncio.sleep(0.01)

    with closing(sqlite3.connect(home / "headrace.db", isolation_level=None)) as other, caplog.at_level(logging.WARNING, "headrace.server.streams"):
        other.execute("BEGIN IMMEDIATE")
        run(_send(api, *sent))
        run(until_refused())
        other.execute("ROLLBACK")
        assert [one["id"] for one in run(_stored(api, len(sent)))] == [one["id"] for one in sent]


def test_streaming_that_is_switched_off_sends_the_past_alone(serve: Callable[[], Api], run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_EVENTS_STREAM_OUT_ENABLED", "false")
    api, past = serve(), event()
    api.post("/events", [past])

    async def body() -> list[str]:
        async with api.subscribed("/events/out") as out:
            found = await received(out, 1)
            await in_thread(api.post, "/events", [event()])
            await (await out.ping())
            await out.close()
            return [one["id"] for one in found] + [json.loads(text) async for text in out]

    assert run(body()) == [past["id"]]


def test_what_arrived_is_stored_before_the_server_stops(run: Any) -> None:
    from headrace.server.serving import application_in_force, serving_in_thread

    sent = [event() for _ in range(3_000)]
    with serving_in_thread(application_in_force("web")) as url:
        run(_send(Api(url), *sent))
    with serving_in_thread(application_in_force("web")) as url:
        assert len(run(_stored(Api(url), len(sent)))) == 50
