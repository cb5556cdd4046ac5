"""A decorator that sends a flow's runs to a work pool for Azure Container Instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.flows import bind_flow_to_infrastructure
from headrace_azure.workers.container_instance import AzureContainerWorker

if TYPE_CHECKING:
    from headrace.flows import BundleLauncher, Flow, InfrastructureBoundFlow


def azure_container_instance(
    work_pool: str, include_files: Sequence[str] | None = None, launcher: BundleLauncher | None = None, **job_variables: Any
) -> Callable[[Flow[..., Any]], InfrastructureBoundFlow]:
    """Have a flow run in a container group whenever it is called: `@azure_container_instance(work_pool="aci-pool", memory=2.0)` above `@flow`.

    `work_pool`: a pool of type `azure-container-instance` with storage for bundles. `launcher`: what starts Python there. `job_variables` go before
    the pool's template. Calling the flow waits for its end; `submit` returns a future; `submit_to_work_pool` leaves it to a worker of the pool.

    Raises ValueError when `include_files` names any: files do not travel with bundles. Put them into the image, or deploy the flow with pull steps.
    """
    if include_files:
        raise ValueError(
            "`include_files` is not offered: files do not travel with bundles. Put them into the image, or deploy the flow with pull steps."
        )

    def decorate(flow: Flow[..., Any]) -> InfrastructureBoundFlow:
        return bind_flow_to_infrastructure(flow, work_pool, AzureContainerWorker, job_variables=job_variables, launcher=launcher)

    return decorate
