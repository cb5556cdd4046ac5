"""Which services a process runs, and running them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Literal, assert_never

from headrace.server.services.base import RunInAllServers, RunInEphemeralServers, RunInWebservers, Service, kept_running
from headrace.server.services.builtin import SERVICES
from headrace.server.services.steps import DatabaseService
from headrace.settings import SettingsContext
from headrace.settings.tree.root import Settings
from headrace.store.database import Database

Mode = Literal["all", "web", "services", "ephemeral"]
"""all: one process does everything; web: it answers requests, services run elsewhere (`--no-services`); services: it answers none."""

SPREAD_SECONDS = 1.0


def runs_in(service: type[Service], mode: Mode) -> bool:
    """Say whether a process of this mode runs the service, if it is enabled."""
    match mode:
        case "all":
            return True
        case "web":
            return issubclass(service, RunInWebservers)
        case "ephemeral":
            return issubclass(service, RunInEphemeralServers)
        case "services":
            return issubclass(service, RunInAllServers) or not issubclass(service, RunInWebservers)
        case _:
            assert_never(mode)


@asynccontextmanager
async def running(settings: Settings, database: Database, mode: Mode = "all") -> AsyncGenerator[None, None]:
    """Run headrace's enabled services of this mode on `database` while the block lasts; at its end they finish what they are at and stop."""
    context = copy_context()
    services = context.run(_make, settings, database, mode)
    async with kept_running(services, SPREAD_SECONDS, context):
        yield


def _make(settings: Settings, database: Database, mode: Mode) -> list[Service]:
    """Put `settings` in force in the context of the services, and make these."""
    SettingsContext(settings).__enter__()
    chosen = [service for service in SERVICES if runs_in(service, mode) and service.enabled()]
    return [service.on(database) if issubclass(service, DatabaseService) else service() for service in chosen]
