"""Threads that perform calls."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headrace.server.lanes import Lane, Overloaded


def test_calls_of_one_thread_are_performed_in_their_order() -> None:
    done: list[int] = []

    async def body() -> list[int]:
        lane = Lane("one", 1)
        answers = await asyncio.gather(*(lane.run(lambda n=n: (done.append(n), n)[1]) for n in range(100)))
        lane.close()
        return answers

    assert asyncio.run(body()) == list(range(100)) == done


def test_several_threads_perform_calls_beside_each_other() -> None:
    async def body() -> list[int]:
        lane = Lane("three", 3)
        together = threading.Barrier(3, timeout=10)  # passes only when three calls are under way at once
        places = await asyncio.gather(*(lane.run(together.wait) for _ in range(3)))
        lane.close()
        return places

    assert sorted(asyncio.run(body())) == [0, 1, 2]


def test_errors_are_raised_where_the_call_is_awaited() -> None:
    async def body() -> None:
        lane = Lane("one", 1)
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        assert await lane.run(lambda: "still here") == "still here"
        lane.close()

    asyncio.run(body())


def test_a_lane_takes_no_more_than_it_may() -> None:
    async def body() -> None:
        lane = Lane("one", 1, waiting_max=2)
        go = threading.Event()
        waiting = [lane.run(go.wait) for _ in range(2)]
        with pytest.raises(Overloaded):
            lane.run(go.wait)
        go.set()
        await asyncio.gather(*waiting)
        await lane.run(lambda: None)
        lane.close()

    asyncio.run(body())
