"""A decorator that sends a flow's runs to a work pool for Azure Container Instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.flows import bind_flow_to_infrastructure
from headrace_azure.workers.container_instance import AzureContainerWorker

if TYPE_CHECKING:
    from headrace.flows import BundleLauncher, Flow, InfrastructureBoundFlow


def azure_container_instance(
    work_pool: str, include_files: Sequence[str] | None = None, launcher: BundleLauncher | Sequence[str] | None = None, **job_variables: Any
) -> Callable[[Flow[..., Any]], InfrastructureBoundFlow]:
    """Have a flow run in a container group whenever it is called: `@azure_container_instance(work_pool="aci-pool", memory=2.0)` above `@flow`.

    `work_pool`: a pool of type `azure-container-instance` with storage for bundles. `include_files`: paths and patterns of files beside the flow's
    that go with it, as `["config.yaml", "data/"]`. `launcher`: what starts Python there. `job_variables` go before the pool's template.

    Calling the flow waits for its end; `submit` returns a future; `submit_to_work_pool` leaves it to a worker of the pool. Give the flow a
    `result_storage` that both sides see, as an `AzureBlobStorageContainer`.

    Raises `ValueError` for `include_files` that are no list of texts, or have a blank one.
    """

    def decorate(flow: Flow[..., Any]) -> InfrastructureBoundFlow:
        return bind_flow_to_infrastructure(
            flow, work_pool, AzureContainerWorker, job_variables=job_variables, launcher=launcher, include_files=include_files
        )

    return decorate
