"""Flows that are submitted to a pool's infrastructure without a deployment: by a worker of this process, or by one that serves the pool."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from headrace.client.connect import current_client
from headrace.client.orchestration import get_client
from headrace.deploy.background_futures import HeadraceFlowRunFuture
from headrace.deploy.bundles import convert_step_to_command, create_bundle_for_flow_run, upload_bundle_to_storage
from headrace.engine.flow import Flow
from headrace.model import ids
from headrace.model.endpoints.flows import READ_FLOW
from headrace.states import Pending, Scheduled

if TYPE_CHECKING:
    from headrace.deploy.workers.base import AnyWorker, BaseWorker
    from headrace.model.flow_runs import FlowRun
    from headrace.model.work_pools import WorkPool

PERSIST = "HEADRACE_RESULTS_PERSIST_BY_DEFAULT"
"""Results of submitted flows are read by another process than the one that made them."""
FOLDER_MODULE = "headrace._experimental.bundles.execute"


class BundleLauncher(TypedDict, total=False):
    """What starts Python where a bundle is uploaded, and where it is run."""

    upload: list[str]
    execution: list[str]


async def submit_to_worker(
    worker: AnyWorker,
    flow: Flow[..., Any],
    parameters: dict[str, Any] | None,
    job_variables: dict[str, Any] | None,
    flow_run: FlowRun | None,
    launcher: BundleLauncher | None = None,
) -> HeadraceFlowRunFuture[Any]:
    """Run a flow on a worker's infrastructure; the worker sees it through. See `BaseWorker.submit`.

    The bundle travels by the pool's storage; a process worker needs none. Raises `RuntimeError` where there is no storage, `SerializationError`
    for a flow that cannot be packed.
    """
    await worker.sync_with_backend()  # it may not know its pool yet
    pool = worker.work_pool
    folder = None
    if not pool.storage_configuration.bundle_upload_step:
        if worker.type != "process":
            raise RuntimeError(_no_storage(pool))
        folder = Path(tempfile.mkdtemp(prefix="headrace-bundle-"))
    if flow_run is None:
        told = flow.serialize_parameters(parameters or {})
        flow_run = await get_client().create_flow_run(flow, parameters=told, state=Pending(), job_variables=job_variables or {})
    command = await _sent(pool, flow, flow_run, launcher, folder)
    values = {**(job_variables or {}), "command": shlex.join(command)}
    configuration = await worker.job_configuration.from_template_and_values(pool.base_job_template, values)
    configuration.env.setdefault(PERSIST, "true")
    stored = await current_client().call(READ_FLOW, id=flow_run.flow_id)
    configuration.prepare_for_flow_run(flow_run=flow_run, flow=stored, work_pool=pool, worker_name=worker.name)
    worker.begin(flow_run, configuration)
    return HeadraceFlowRunFuture(flow_run.id)


async def _sent(pool: WorkPool, flow: Flow[..., Any], flow_run: FlowRun, launcher: BundleLauncher | None, folder: Path | None) -> list[str]:
    """Bring the bundle to where it can be fetched; return the command that runs it."""
    key = str(flow_run.id)
    if folder is not None:
        (folder / key).write_text(json.dumps(create_bundle_for_flow_run(flow, flow_run)["bundle"]), encoding="utf-8")
        return ["python", "-m", FOLDER_MODULE, "--folder", str(folder), "--key", key, "--remove"]
    await _upload(pool, flow, flow_run, key, launcher)
    return convert_step_to_command(pool.storage_configuration.bundle_execution_step or {}, key, (launcher or {}).get("execution"))


async def _upload(pool: WorkPool, flow: Flow[..., Any], flow_run: FlowRun, key: str, launcher: BundleLauncher | None) -> None:
    storage = pool.storage_configuration
    if not storage.bundle_upload_step or not storage.bundle_execution_step:
        raise RuntimeError(_no_storage(pool))
    command = convert_step_to_command(storage.bundle_upload_step, key, (launcher or {}).get("upload"))
    if command[0] == "python":
        command[0] = sys.executable
    await upload_bundle_to_storage(create_bundle_for_flow_run(flow, flow_run)["bundle"], key, command)


def _no_storage(pool: WorkPool) -> str:
    return (
        f"The work pool {pool.name!r} has no storage for bundles, so no flow can be sent to it. "
        f"Choose one: headrace work-pool storage configure s3 {pool.name!r} --bucket ... (or gcs, azure-blob-storage, local)."
    )


class InfrastructureBoundFlow(Flow[..., Any]):
    """A flow that runs on the infrastructure of a work pool when it is called. Made by `bind_flow_to_infrastructure` or a plugin's decorator."""

    work_pool: str
    job_variables: dict[str, Any]
    worker_cls: type[BaseWorker[Any, Any, Any]]
    launcher: BundleLauncher | None

    def __call__(self, *args: Any, return_state: bool = False, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # one way to call it
        """Run the flow on the infrastructure, wait, and return its value, or with `return_state` its final state."""
        future = self.submit(*args, **kwargs)
        if return_state:
            future.wait()
            return future.state
        return future.result()

    def with_options(self, **options: Any) -> InfrastructureBoundFlow:
        """Return a copy with these options changed; see `Flow.with_options`. `job_variables` and `launcher` may change too, the pool may not."""
        own = {name: options.pop(name, getattr(self, name)) for name in ("job_variables", "launcher")}
        return bind_flow_to_infrastructure(self._plain().with_options(**options), self.work_pool, self.worker_cls, **own)

    def submit(self, *args: Any, **kwargs: Any) -> HeadraceFlowRunFuture[Any]:
        """Run the flow on the infrastructure by a worker of this process, without waiting for it; return its future."""
        return self._submitted(self.bind(args, kwargs), None)

    def retry(self, flow_run: FlowRun, return_state: bool = False) -> Any:
        """Run a run of this flow again on the infrastructure, under its id; wait, and return its value, or its final state."""
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Scheduled(name="AwaitingRetry"), force=True)
            future = self._submitted(dict(flow_run.parameters), client.read_flow_run(flow_run.id))
        future.wait()
        return future.state if return_state else future.result()

    def submit_to_work_pool(self, *args: Any, **kwargs: Any) -> HeadraceFlowRunFuture[Any]:
        """Have a worker that serves the pool run the flow; return its future. Raises `RuntimeError` for a pool without storage for bundles."""
        return asyncio.run(self._sent_to_pool(self.bind(args, kwargs)))

    async def _sent_to_pool(self, parameters: dict[str, Any]) -> HeadraceFlowRunFuture[Any]:
        async with get_client() as client:
            pool = await client.read_work_pool(self.work_pool)
            if not pool.storage_configuration.bundle_execution_step:
                raise RuntimeError(_no_storage(pool))
            key = str(ids.new())
            command = convert_step_to_command(pool.storage_configuration.bundle_execution_step, key, (self.launcher or {}).get("execution"))
            env = {PERSIST: "true", **self.job_variables.get("env", {})}
            variables = {**self.job_variables, "env": env, "command": shlex.join(command)}
            told = self.serialize_parameters(parameters)
            run = await client.create_flow_run(self, parameters=told, state=Pending(), work_pool_name=self.work_pool, job_variables=variables)
            await _upload(pool, self._plain(), run, key, self.launcher)
            await client.set_flow_run_state(run.id, Scheduled(), force=True)  # from here on a worker may take it
            return HeadraceFlowRunFuture(run.id)

    def _plain(self) -> Flow[..., Any]:
        flow = cast("Flow[..., Any]", Flow.__new__(Flow))
        flow.__dict__.update(self.__dict__)
        for name in ("work_pool", "job_variables", "worker_cls", "launcher"):
            flow.__dict__.pop(name, None)
        return flow

    def _submitted(self, parameters: dict[str, Any], flow_run: FlowRun | None) -> HeadraceFlowRunFuture[Any]:
        submitted: Future[HeadraceFlowRunFuture[Any]] = Future()

        async def work() -> None:
            async with self.worker_cls(work_pool_name=self.work_pool) as worker:
                submitted.set_result(await submit_to_worker(worker, self._plain(), parameters, self.job_variables, flow_run, self.launcher))

        def run() -> None:
            try:
                asyncio.run(work())
            except BaseException as error:  # noqa: BLE001  # the thread's border: whoever waits for the submission hears of it
                if not submitted.done():
                    submitted.set_exception(error)

        threading.Thread(target=run, name=f"headrace-submit-{self.name}").start()
        return submitted.result()


def bind_flow_to_infrastructure(
    flow: Flow[..., Any],
    work_pool: str,
    worker_cls: type[BaseWorker[Any, Any, Any]],
    job_variables: dict[str, Any] | None = None,
    launcher: BundleLauncher | Sequence[str] | None = None,
) -> InfrastructureBoundFlow:
    """Return a flow that runs on the infrastructure of a work pool when it is called.

    `worker_cls` starts it there; `job_variables` go before the pool's template. `launcher`: what starts Python with the packages that the bundle
    needs, for all or for `upload` and `execution` each; default: `uv run` with what the pool's storage needs.
    """
    bound = InfrastructureBoundFlow.__new__(InfrastructureBoundFlow)
    bound.__dict__.update(flow.__dict__)
    bound.work_pool = work_pool
    bound.worker_cls = worker_cls
    bound.job_variables = dict(job_variables or {})
    if launcher is None or isinstance(launcher, dict):
        bound.launcher = launcher
    else:
        bound.launcher = BundleLauncher(upload=list(launcher), execution=list(launcher))
    return bound
