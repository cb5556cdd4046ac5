"""A service made of steps: functions on a transaction that do a bounded batch of work and say how much it was."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.model import clock
from headrace.model.caller import SERVICE
from headrace.model.errors import StoreUnavailable
from headrace.server.database import database_in_force
from headrace.server.services.base import LoopService, Service
from headrace.store.database import Database, Transaction

if TYPE_CHECKING:
    from typing import Self

BATCH = 200

Step = Callable[[Transaction, datetime, int], int]
"""`step(tx, now, limit)` deals with `limit` things at most and returns with how many it did."""


class DatabaseService(Service, ABC):
    """A service that works on the database that the settings name, or on the one that a server hands it."""

    _database: Database | None = None
    _owns_database = True

    @classmethod
    def on(cls, database: Database) -> Self:
        """Make the service for this database; it is left open when the service stops."""
        service = cls()
        service._database, service._owns_database = database, False
        return service

    @property
    def database(self) -> Database:
        """The database that the service works on."""
        if self._database is None:
            self._database = database_in_force()
        return self._database

    def let_go(self) -> None:
        """Close the database, if the service opened it."""
        if self._owns_database and self._database is not None:
            self._database.close()
            self._database = None


class StepService(DatabaseService, LoopService, ABC):
    """Takes its steps in each round, in a thread, each again while its batches are full. A step that fails is logged; the others go on.

    The period is the setting `loop_seconds` of the service.
    """

    def __init__(self, loop_seconds: float | None = None, handle_signals: bool = False) -> None:
        period = loop_seconds if loop_seconds is not None else getattr(self.service_settings(), "loop_seconds", None)
        super().__init__(period, handle_signals)
        self._is_waiting = False

    def batch(self) -> int:
        """Return how much one transaction may do."""
        return BATCH

    @abstractmethod
    def steps(self) -> Sequence[Step]:
        """Return what a round does, by the settings in force."""

    async def run_once(self) -> None:
        """Take every step until it finds no full batch."""
        limit = self.batch()
        for step in self.steps():
            try:
                while await asyncio.to_thread(self._take, step, limit) >= limit and not self.is_stopping:
                    pass
                self._is_waiting = False
            except StoreUnavailable as error:
                if not self._is_waiting:  # told once, not at every round of an outage
                    self.logger.warning("The service %s waits for the database, and tries every %g seconds. %s", self.name, self.loop_seconds, error)
                self._is_waiting = True
                return
            except Exception:  # a service's border: reported, and tried again in the next round
                self.logger.exception("The service %s could not do its work. It tries again in %g seconds.", self.name, self.loop_seconds)

    def _take(self, step: Step, limit: int) -> int:
        return self.database.transact(lambda tx: step(tx, clock.now(), limit), SERVICE)

    async def _on_stop(self) -> None:
        self.let_go()
