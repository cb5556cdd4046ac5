"""The events that containers of runs make, each following the one before."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from headrace.events import emit_event

if TYPE_CHECKING:
    from docker.models.containers import Container

    from headrace_docker.worker import DockerWorkerJobConfiguration

logger = logging.getLogger("headrace.docker")


class ContainerEvents:
    """Emits `prefect.docker.container.<status>` whenever a container's status is seen to be another. An event that is lost stops nothing."""

    def __init__(self, worker: dict[str, str]) -> None:
        """`worker`: the resource of the worker, which is related to all of them."""
        self._worker = worker
        self._last: dict[str, tuple[str, Any]] = {}
        self._lock = threading.Lock()

    def seen(self, container: Container, job: DockerWorkerJobConfiguration) -> None:
        """Take a container's status."""
        key, status = container.id or "", container.status
        with self._lock:
            before = self._last.get(key)
            if before is not None and before[0] == status:
                return
            self._last[key] = (status, before[1] if before else None)
        resource = {"prefect.resource.id": f"prefect.docker.container.{key}", "prefect.resource.name": str(container.name)}
        event = self._emitted(f"prefect.docker.container.{status}", resource, job, before[1] if before else None)
        with self._lock:
            if key in self._last:
                self._last[key] = (status, event)

    def creation_failed(self, job: DockerWorkerJobConfiguration, error: Exception) -> None:
        """Tell that a container could not be made or started."""
        resource = {"prefect.resource.id": f"prefect.docker.container.{job.name}", "prefect.resource.name": str(job.name)}
        self._emitted("prefect.docker.container.creation-failed", resource, job, None, {"error": f"{type(error).__name__}: {error}"})

    def forget(self, identifier: str) -> None:
        """Take a container for one that has ended and is looked at no more."""
        with self._lock:
            self._last.pop(identifier.rpartition(":")[2], None)

    def _emitted(
        self, event: str, resource: dict[str, str], job: DockerWorkerJobConfiguration, follows: Any, payload: dict[str, str] | None = None
    ) -> Any:
        resource = {**resource, "docker.image": job.image}
        try:
            return emit_event(event, resource, related=[*_related(job), self._worker], payload=payload, follows=follows)
        except Exception as error:  # noqa: BLE001  # the border to the server: an event is no reason to stop a run
            logger.warning("The event %s could not be emitted: %s", event, error)
            return None


def _related(job: DockerWorkerJobConfiguration) -> list[dict[str, str]]:
    """Return what a container belongs to, from its labels."""
    found: list[dict[str, str]] = []
    for kind in ("flow-run", "flow", "deployment", "work-pool"):
        id = job.labels.get(f"prefect.io/{kind}-id")
        if id is not None:
            name = job.labels.get(f"prefect.io/{kind}-name", "")
            found.append({"prefect.resource.id": f"prefect.{kind}.{id}", "prefect.resource.role": kind, "prefect.resource.name": name})
    return found
