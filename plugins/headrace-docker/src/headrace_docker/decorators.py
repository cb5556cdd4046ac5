"""A decorator that sends a flow's runs to a Docker work pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.flows import bind_flow_to_infrastructure
from headrace_docker.worker import DockerWorker

if TYPE_CHECKING:
    from headrace.flows import BundleLauncher, Flow, InfrastructureBoundFlow


def docker(work_pool: str, launcher: BundleLauncher | None = None, **job_variables: Any) -> Callable[[Flow[..., Any]], InfrastructureBoundFlow]:
    """Have a flow run in a container whenever it is called: `@docker(work_pool="containers", image="…")` above `@flow`.

    `work_pool`: a pool of type `docker` with storage for bundles. `launcher`: what starts Python there. `job_variables` go before the pool's
    template. Calling the flow waits for its end; `submit` returns a future; `submit_to_work_pool` leaves it to a worker of the pool.
    """

    def decorate(flow: Flow[..., Any]) -> InfrastructureBoundFlow:
        return bind_flow_to_infrastructure(flow, work_pool, DockerWorker, job_variables=job_variables, launcher=launcher)

    return decorate
