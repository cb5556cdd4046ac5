"""Decorators that send a flow's runs to a work pool on Google Cloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.flows import bind_flow_to_infrastructure
from headrace_gcp.workers.cloud_run_v2 import CloudRunWorkerV2
from headrace_gcp.workers.vertex import VertexAIWorker

if TYPE_CHECKING:
    from headrace.flows import BundleLauncher, Flow, InfrastructureBoundFlow

Decorator = Callable[["Flow[..., Any]"], "InfrastructureBoundFlow"]


def cloud_run(work_pool: str, include_files: Sequence[str] | None = None, launcher: BundleLauncher | None = None, **job_variables: Any) -> Decorator:
    """Have a flow run on Cloud Run whenever it is called: `@cloud_run(work_pool="pool", image="…")` above `@flow`.

    `work_pool`: a pool of type `cloud-run-v2` with storage for bundles. `launcher`: what starts Python there. `job_variables` go before the pool's
    template. `include_files`: paths and patterns of other files beside the flow's, which its runs find in their working directory. Calling the flow
    waits for its end; `submit` returns a future; `submit_to_work_pool` leaves it to a worker of the pool. Raises `ValueError` for a blank pattern.
    """
    return _bound(work_pool, CloudRunWorkerV2, include_files, launcher, job_variables)


def vertex_ai(work_pool: str, include_files: Sequence[str] | None = None, launcher: BundleLauncher | None = None, **job_variables: Any) -> Decorator:
    """Have a flow run on Vertex AI whenever it is called. `work_pool`: a pool of type `vertex-ai`; the rest is as for `cloud_run`."""
    return _bound(work_pool, VertexAIWorker, include_files, launcher, job_variables)


def _bound(work_pool: str, worker: Any, include_files: Sequence[str] | None, launcher: Any, job_variables: dict[str, Any]) -> Decorator:
    def decorate(flow: Flow[..., Any]) -> InfrastructureBoundFlow:
        return bind_flow_to_infrastructure(flow, work_pool, worker, job_variables=job_variables, launcher=launcher, include_files=include_files)

    return decorate
