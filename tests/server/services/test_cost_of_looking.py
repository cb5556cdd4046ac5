"""A look that finds nothing must cost next to nothing, however much history there is: no step that runs every few seconds scans a table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from headrace.model import clock
from headrace.model.caller import SERVICE
from headrace.server.services.builtin import SERVICES
from headrace.server.services.db_vacuum import DBVacuum
from headrace.server.services.steps import StepService
from headrace.settings import get_current_settings
from headrace.store.database import Database, Row, Transaction

HISTORY = ("flow_run", "task_run", "flow_run_state", "task_run_state", "log", "events", "event_resources")


class Recorder(Transaction):
    """A transaction that remembers the statements that read."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx._link, SERVICE)
        self.asked: list[tuple[str, Sequence[Any]]] = []

    def sql(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        if text.lstrip().startswith("SELECT"):
            self.asked.append((text, values))
        return super().sql(text, values)

    def sql_one(self, text: str, values: Sequence[Any] = ()) -> Row | None:
        if text.lstrip().startswith("SELECT"):
            self.asked.append((text, values))
        return super().sql_one(text, values)


FREQUENT = [one for one in SERVICES if issubclass(one, StepService) and one is not DBVacuum]


@pytest.mark.parametrize("service", FREQUENT)
def test_no_step_scans_history(service: type[StepService]) -> None:
    database = Database(get_current_settings().server.database.connection_url.get_secret_value())
    with database.write(SERVICE) as tx:
        recorder = Recorder(tx)
        for step in service.on(database).steps():
            assert step(recorder, clock.now(), 10) == 0
        scans = [line for text, values in recorder.asked for line in plan(tx, text, values)]
    database.close()
    assert scans == []


def plan(tx: Transaction, text: str, values: Sequence[Any]) -> list[str]:
    """Return what of a statement's plan goes through a whole table of history, or through a whole index of one that holds all of its rows."""
    names = {alias: table for table in HISTORY for alias in (table, *aliases(text, table))}
    lines = [row[3] for row in tx.sql(f"EXPLAIN QUERY PLAN {text}", values)]
    return [line for line in lines if line.startswith("SCAN ") and line.split()[1] in names and "ix_task_run__unfinished" not in line]


def aliases(text: str, table: str) -> list[str]:
    words = text.replace(",", " ").split()
    return [following for word, following in pairwise(words) if word == table]
