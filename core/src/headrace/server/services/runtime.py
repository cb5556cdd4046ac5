"""Which services a process runs, and running them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Literal, assert_never

from headrace.server.console import log_to_stderr
from headrace.server.database import database_in_force
from headrace.server.services.base import RunInAllServers, RunInEphemeralServers, RunInWebservers, Service, kept_running
from headrace.server.services.builtin import SERVICES
from headrace.server.services.steps import DatabaseService
from headrace.settings import SettingsContext, get_current_settings
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


def chosen_for(mode: Mode) -> list[type[Service]]:
    """Return headrace's services that a process of this mode runs by the settings in force."""
    return [service for service in SERVICES if runs_in(service, mode) and service.enabled()]


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
    return [service.on(database) if issubclass(service, DatabaseService) else service() for service in chosen_for(mode)]


async def serve(announce: Callable[[], object]) -> None:
    """Run the services alone, without an API, until SIGINT or SIGTERM; then they finish what they are at. `announce` is called once they run."""
    settings = get_current_settings()
    log_to_stderr()
    database = database_in_force()
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    try:
        async with running(settings, database, "services"):
            announce()
            await ending.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        database.close()
