"""A decorator that sends a flow's runs to an ECS work pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.flows import bind_flow_to_infrastructure
from headrace_aws.workers.ecs_worker import ECSWorker

if TYPE_CHECKING:
    from headrace._experimental.bundles import BundleLauncher
    from headrace.flows import Flow, InfrastructureBoundFlow


def ecs(
    work_pool: str, include_files: Sequence[str] | None = None, launcher: BundleLauncher | Sequence[str] | None = None, **job_variables: Any
) -> Callable[[Flow[..., Any]], InfrastructureBoundFlow]:
    """Have a flow run as an ECS task whenever it is called: `@ecs(work_pool="ecs-pool", memory=2048)` above `@flow`.

    `work_pool`: a pool of type `ecs` with storage for bundles (`headrace work-pool storage configure s3`). `include_files`: paths and patterns of
    files beside the flow's that go with it, as `["config.yaml", "data/"]`. `launcher`: what starts Python in the task, and where the bundle is put
    into storage. `job_variables` go before the pool's template.

    Calling the flow waits for its end; `submit` returns a future; `submit_to_work_pool` leaves it to a worker of the pool. Give the flow a
    `result_storage` that both sides see, as an `S3Bucket`.

    Raises `ValueError` for `include_files` that are no list of texts, or have a blank one.
    """

    def decorate(flow: Flow[..., Any]) -> InfrastructureBoundFlow:
        return bind_flow_to_infrastructure(flow, work_pool, ECSWorker, job_variables=job_variables, launcher=launcher, include_files=include_files)

    return decorate
