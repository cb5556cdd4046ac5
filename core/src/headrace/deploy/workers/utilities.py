"""The documented helpers around worker types and the health endpoint."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.deploy.health import serve_worker_health
from headrace.deploy.workers.types import default_base_job_template, worker_types
from headrace.model.endpoints.workers import READ_COLLECTION_VIEW

if TYPE_CHECKING:
    from headrace.deploy.workers.base import AnyWorker


async def known_worker_types() -> dict[str, dict[str, Any]]:
    """Return what is known of every worker type, installed or not, by type."""
    view = await current_client().call(READ_COLLECTION_VIEW, view="aggregate-worker-metadata")
    return {kind: told for package in view.values() for kind, told in package.items()}


async def aget_available_work_pool_types() -> list[str]:
    """Return the types that work pools can have, sorted: those that are installed, and those that the server knows."""
    return sorted({*worker_types(), *await known_worker_types()})


async def aget_default_base_job_template_for_infrastructure_type(infra_type: str) -> dict[str, Any] | None:
    """Return the base job template that pools of a type begin with, or None for an unknown type."""
    found = default_base_job_template(infra_type)
    if found is None:
        found = (await known_worker_types()).get(infra_type, {}).get("default_base_job_configuration")
    return found


get_available_work_pool_types = blocking(aget_available_work_pool_types)
get_default_base_job_template_for_infrastructure_type = blocking(aget_default_base_job_template_for_infrastructure_type)


class HealthServer:
    """Answers requests for a worker's health until `should_exit` is set."""

    def __init__(self, worker: AnyWorker, query_interval_seconds: float) -> None:
        self._worker = worker
        self._seconds = query_interval_seconds
        self.should_exit = False

    async def serve(self) -> None:
        """Answer requests where the settings `worker.webserver` say. Raises `ConfigurationError` when that address is taken."""
        async with await serve_worker_health(self._worker, self._seconds):
            while not self.should_exit:
                await asyncio.sleep(0.1)

    def run(self) -> None:
        """Answer requests from an event loop of this thread's own."""
        asyncio.run(self.serve())


def build_healthcheck_server(worker: AnyWorker, query_interval_seconds: float, log_level: str = "error") -> HealthServer:
    """Return a server of a worker's health. `log_level` changes nothing: it logs nothing."""
    return HealthServer(worker, query_interval_seconds)


def start_healthcheck_server(worker: AnyWorker, query_interval_seconds: float, log_level: str = "error") -> None:
    """Answer requests for a worker's health, in this thread, for ever."""
    build_healthcheck_server(worker, query_interval_seconds, log_level).run()
