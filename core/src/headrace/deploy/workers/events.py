"""The events that workers emit of themselves and of the runs they see through."""

from __future__ import annotations

import asyncio
import logging
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from headrace.model.errors import HeadraceException
from headrace.objects.events import emit_event

if TYPE_CHECKING:
    from headrace.deploy.workers.base import AnyWorker
    from headrace.model.events import Event
    from headrace.model.flow_runs import FlowRun
    from headrace.model.work_pools import WorkPool

logger = logging.getLogger("headrace.deploy.workers")


def slug(name: str) -> str:
    """Return a name in lower case with dashes for all but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


async def tell_of_worker(
    worker: AnyWorker, happened: str, pool: WorkPool | None, flow_run: FlowRun | None, more: dict[str, str], follows: Event | None
) -> Event | None:
    """Emit `prefect.worker.<happened>`; `more` are labels of the flow run. An event that cannot be emitted is no reason to stop: then None."""
    resource = {
        "prefect.resource.id": f"prefect.worker.{worker.type}.{worker.get_name_slug()}",
        "prefect.resource.name": worker.name,
        "prefect.version": version("headrace"),
        "prefect.worker-type": worker.type,
    }
    related = _related(flow_run, more)
    if pool is not None:
        related.append(_resource("work-pool", pool.id, pool.name))
    try:
        return await asyncio.to_thread(emit_event, f"prefect.worker.{happened}", resource, related=related, follows=follows)
    except (HeadraceException, OSError) as error:
        logger.warning("The event that worker %r %s could not be emitted: %s", worker.name, happened, error)
        return None


def _related(flow_run: FlowRun | None, more: dict[str, str]) -> list[dict[str, str]]:
    if flow_run is None:
        return []
    found = [{**_resource("flow-run", flow_run.id, flow_run.name), **more}, _resource("flow", flow_run.flow_id)]
    if flow_run.deployment_id is not None:
        found.append(_resource("deployment", flow_run.deployment_id))
    found += [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in sorted(flow_run.tags)]
    return found


def _resource(kind: str, id: Any, name: str | None = None) -> dict[str, str]:
    found = {"prefect.resource.id": f"prefect.{kind}.{id}", "prefect.resource.role": kind}
    return {**found, "prefect.resource.name": name} if name is not None else found
