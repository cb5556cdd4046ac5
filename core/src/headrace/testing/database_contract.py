"""The tests that every block over a DB-API connection passes. Inherit `DatabaseContract`, give the `database` fixture and the dialect."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from headrace.objects.databases import CursorDatabase


class DatabaseContract:
    """What a database block owes those who query it.

    A subclass named `Test…` overrides the fixture `database`, which returns a block on a database without tables, and what its dialect has
    otherwise. Rows are told apart by a number and hold a text.
    """

    create: ClassVar[str] = "CREATE TABLE things (id INTEGER, name VARCHAR(50))"
    insert: ClassVar[str] = "INSERT INTO things (id, name) VALUES (:id, :name)"
    select: ClassVar[str] = "SELECT id, name FROM things ORDER BY id"
    select_above: ClassVar[str] = "SELECT id, name FROM things WHERE id > :least ORDER BY id"
    wrong: ClassVar[str] = "SELECT nothing FROM nowhere_at_all"

    @pytest.fixture
    def database(self) -> CursorDatabase:
        """Return the block to test."""
        raise TypeError(f"{type(self).__name__} must override the fixture `database`.")

    @pytest.fixture(autouse=True)
    def closed(self, database: CursorDatabase) -> Iterator[None]:
        """Close the block after the test."""
        yield
        database.close()

    @pytest.fixture
    def filled(self, database: CursorDatabase) -> CursorDatabase:
        """Return the block, with five rows in the table."""
        database.execute(self.create)
        database.execute_many(self.insert, [{"id": number, "name": f"thing {number}"} for number in range(1, 6)])
        return database

    @staticmethod
    def ids(rows: Any) -> list[int]:
        """Return the numbers of rows."""
        return [int(row[0]) for row in rows]

    # --- paging by repetition

    def test_fetching_again_goes_on(self, filled: CursorDatabase) -> None:
        assert self.ids(filled.fetch_many(self.select, size=2)) == [1, 2]
        assert self.ids(filled.fetch_many(self.select, size=2)) == [3, 4]
        assert self.ids(filled.fetch_many(self.select, size=2)) == [5]
        assert filled.fetch_many(self.select, size=2) == []

    def test_the_ways_of_fetching_share_one_result(self, filled: CursorDatabase) -> None:
        first = filled.fetch_one(self.select)
        assert first is not None and first[1] == "thing 1"
        assert self.ids(filled.fetch_many(self.select, size=1)) == [2]
        assert self.ids(filled.fetch_all(self.select)) == [3, 4, 5]
        assert filled.fetch_all(self.select) == []
        assert filled.fetch_one(self.select) is None

    def test_other_parameters_are_another_result(self, filled: CursorDatabase) -> None:
        assert self.ids(filled.fetch_many(self.select_above, {"least": 1}, size=1)) == [2]
        assert self.ids(filled.fetch_many(self.select_above, {"least": 3}, size=1)) == [4]
        assert self.ids(filled.fetch_many(self.select_above, {"least": 1}, size=1)) == [3]

    def test_fetch_size_is_the_default(self, filled: CursorDatabase) -> None:
        assert len(filled.fetch_many(self.select)) == filled.fetch_size
        filled.reset_cursors()
        filled.fetch_size = 3
        assert len(filled.fetch_many(self.select)) == 3

    def test_reset_runs_the_operation_again(self, filled: CursorDatabase) -> None:
        filled.fetch_many(self.select, size=4)
        filled.reset_cursors()
        assert self.ids(filled.fetch_many(self.select, size=2)) == [1, 2]

    def test_executing_goes_past_all_results(self, filled: CursorDatabase) -> None:
        filled.fetch_one(self.select)
        filled.execute(self.select)
        filled.execute(self.insert, {"id": 6, "name": "thing 6"})
        filled.execute(self.insert, {"id": 6, "name": "thing 6"})
        assert self.ids(filled.fetch_many(self.select, size=1)) == [2]
        filled.reset_cursors()
        assert self.ids(filled.fetch_all(self.select)) == [1, 2, 3, 4, 5, 6, 6]

    def test_each_thread_reads_its_own_result(self, filled: CursorDatabase) -> None:
        ready = threading.Barrier(3)

        def read() -> list[int]:
            ready.wait(30)
            return [found for _ in range(5) for found in self.ids(filled.fetch_many(self.select, size=1))]

        with ThreadPoolExecutor(3) as pool:
            assert [future.result() for future in [pool.submit(read) for _ in range(3)]] == [[1, 2, 3, 4, 5]] * 3

    def test_each_task_reads_its_own_result(self, filled: CursorDatabase) -> None:
        async def read() -> list[int]:
            return [found for _ in range(5) for found in self.ids(await filled.afetch_many(self.select, size=1))]

        async def work() -> list[list[int]]:
            return list(await asyncio.gather(read(), read(), read()))

        assert asyncio.run(work()) == [[1, 2, 3, 4, 5]] * 3

    # --- errors and life

    def test_an_error_leaves_the_block_usable(self, filled: CursorDatabase) -> None:
        for call in (filled.fetch_all, filled.execute):
            with pytest.raises(Exception, match="(?i)nothing|nowhere"):
                call(self.wrong)
        assert self.ids(filled.fetch_all(self.select)) == [1, 2, 3, 4, 5]

    def test_it_is_usable_after_closing(self, filled: CursorDatabase) -> None:
        filled.fetch_many(self.select, size=3)
        filled.close()
        filled.close()
        assert self.ids(filled.fetch_many(self.select, size=2)) == [1, 2]

    def test_it_closes_with_the_block_also_on_errors(self, filled: CursorDatabase) -> None:
        def fail() -> None:
            with filled as block:
                block.fetch_one(self.select)
                raise KeyError("the user's own")

        with pytest.raises(KeyError):
            fail()
        with filled as block:
            assert self.ids(block.fetch_all(self.select)) == [1, 2, 3, 4, 5]

    def test_async_callers_wait(self, filled: CursorDatabase) -> None:
        async def work() -> None:
            async with filled as block:
                await block.aexecute(self.insert, {"id": 6, "name": "thing 6"})
                await block.aexecute_many(self.insert, [{"id": 7, "name": "thing 7"}])
                first = await block.afetch_one(self.select)
                assert first is not None and int(first[0]) == 1
                assert self.ids(await block.afetch_all(self.select)) == [2, 3, 4, 5, 6, 7]

        asyncio.run(work())

    def test_pickles_have_no_connection(self, filled: CursorDatabase) -> None:
        filled.fetch_one(self.select)
        again = pickle.loads(pickle.dumps(filled))
        assert again == filled
        assert self.ids(again.fetch_all(self.select)) == [1, 2, 3, 4, 5]
        again.close()
