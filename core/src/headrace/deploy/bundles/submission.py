"""Flows that are submitted to a pool's infrastructure without a deployment: by a worker of this process, or by one that serves the pool."""

from __future__ import annotations

import asyncio
import atexit
import json
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from headrace.client import bridge
from headrace.client.connect import current_client
from headrace.client.orchestration import get_client
from headrace.deploy.background_futures import HeadraceFlowRunFuture
from headrace.deploy.bundles.files import checked_patterns
from headrace.deploy.bundles.packing import (
    BundleCreationResult,
    convert_step_to_command,
    create_bundle_for_flow_run,
    upload_bundle_to_storage,
    upload_file,
)
from headrace.deploy.bundles.results import environment_for_results
from headrace.engine import context
from headrace.engine.flow import Flow
from headrace.model import ids
from headrace.model.endpoints.flows import READ_FLOW
from headrace.model.errors import HeadraceException
from headrace.states import Crashed, Pending, Scheduled

if TYPE_CHECKING:
    from headrace.deploy.workers.base import AnyWorker, BaseWorker
    from headrace.model.flow_runs import FlowRun
    from headrace.model.work_pools import WorkPool, WorkPoolStorageConfiguration

PERSIST = "HEADRACE_RESULTS_PERSIST_BY_DEFAULT"
"""Results of submitted flows are read by another process than the one that made them."""
FOLDER_MODULE = "headrace._experimental.bundles.execute"


class BundleLauncher(TypedDict, total=False):
    """What starts Python where a bundle is uploaded, and where it is run."""

    upload: list[str]
    execution: list[str]


@dataclass(frozen=True, slots=True)
class Packing:
    """How a flow is packed and sent: what starts Python on either side, and which files go with it."""

    launcher: BundleLauncher | None = None
    include_files: tuple[str, ...] = ()


async def submit_to_worker(
    worker: AnyWorker,
    flow: Flow[..., Any],
    parameters: dict[str, Any] | None,
    job_variables: dict[str, Any] | None,
    flow_run: FlowRun | None,
    packing: Packing | None = None,
) -> HeadraceFlowRunFuture[Any]:
    """Run a flow on a worker's infrastructure; the worker sees it through. See `BaseWorker.submit`.

    The bundle travels by the pool's storage, or without one in a folder that the worker brings to its infrastructure. Raises `RuntimeError` where
    there is neither, `SerializationError` for a flow that cannot be packed, `PathValidationError` for files that cannot.
    """
    await worker.sync_with_backend()  # it may not know its pool yet
    pool, packing = worker.work_pool, packing or Packing()
    if pool.storage_configuration.bundle_upload_step:
        return await _submit_by_storage(worker, flow, parameters, job_variables, flow_run, packing)
    folder = Path(tempfile.mkdtemp(prefix="headrace-bundle-"))
    try:
        seen_as = worker.seen_as(folder)
        if seen_as is None:
            raise RuntimeError(_no_storage(pool))
        flow_run, made = await _packed(flow, parameters, job_variables, flow_run, packing)
        _put_into(folder, str(flow_run.id), made)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    python = (packing.launcher or {}).get("execution") or ["python"]
    command = [*python, "-m", FOLDER_MODULE, "--folder", seen_as, "--key", str(flow_run.id), "--remove"]
    configuration = await _configured(worker, flow_run, job_variables, command)
    worker.bring(folder, configuration)
    worker.begin(flow_run, configuration).add_done_callback(lambda _: shutil.rmtree(folder, ignore_errors=True))
    return HeadraceFlowRunFuture(flow_run.id)


async def _submit_by_storage(
    worker: AnyWorker,
    flow: Flow[..., Any],
    parameters: dict[str, Any] | None,
    job_variables: dict[str, Any] | None,
    flow_run: FlowRun | None,
    packing: Packing,
) -> HeadraceFlowRunFuture[Any]:
    storage = worker.work_pool.storage_configuration
    flow_run, made = await _packed(flow, parameters, job_variables, flow_run, packing)
    key = str(flow_run.id)
    await _upload(storage, key, made, packing)
    command = convert_step_to_command(storage.bundle_execution_step or {}, key, (packing.launcher or {}).get("execution"))
    worker.begin(flow_run, await _configured(worker, flow_run, job_variables, command))
    return HeadraceFlowRunFuture(flow_run.id)


async def _packed(
    flow: Flow[..., Any], parameters: dict[str, Any] | None, job_variables: dict[str, Any] | None, flow_run: FlowRun | None, packing: Packing
) -> tuple[FlowRun, BundleCreationResult]:
    """Return the run, made if there is none yet, and its bundle. A run whose flow cannot be packed ends as Crashed."""
    if flow_run is None:
        told = flow.serialize_parameters(parameters or {})
        flow_run = await get_client().create_flow_run(flow, parameters=told, state=Pending(), job_variables=job_variables or {})
    try:
        return flow_run, create_bundle_for_flow_run(flow, flow_run, include_files=packing.include_files)
    except HeadraceException as error:
        await get_client().set_flow_run_state(flow_run.id, Crashed(message=f"The flow could not be packed: {error}"), force=True)
        raise


async def _configured(worker: AnyWorker, flow_run: FlowRun, job_variables: dict[str, Any] | None, command: list[str]) -> Any:
    pool = worker.work_pool
    values = {**(job_variables or {}), "command": shlex.join(command)}
    configuration = await worker.job_configuration.from_template_and_values(pool.base_job_template, values)
    configuration.env = {PERSIST: "true", **await environment_for_results(pool), **configuration.env}
    stored = await current_client().call(READ_FLOW, id=flow_run.flow_id)
    configuration.prepare_for_flow_run(flow_run=flow_run, flow=stored, work_pool=pool, worker_name=worker.name)
    return configuration


def _put_into(folder: Path, key: str, made: BundleCreationResult) -> None:
    """Put a bundle and its files into a folder, as its storage does; whoever runs there may remove them."""
    files_key = made["bundle"]["files_key"]
    if made["zip_path"] is not None and files_key is not None:
        (folder / files_key).parent.mkdir(parents=True)
        shutil.move(made["zip_path"], folder / files_key)
        made["zip_path"].parent.rmdir()
    (folder / key).write_text(json.dumps(made["bundle"]), encoding="utf-8")


async def _upload(storage: WorkPoolStorageConfiguration, key: str, made: BundleCreationResult, packing: Packing) -> None:
    """Bring a bundle to the pool's storage, its files before it."""

    def command_for(key: str) -> list[str]:
        command = convert_step_to_command(storage.bundle_upload_step or {}, key, (packing.launcher or {}).get("upload"))
        return [sys.executable, *command[1:]] if command[0] == "python" else command

    files_key, archive = made["bundle"]["files_key"], made["zip_path"]
    if archive is not None and files_key is not None:
        try:
            await upload_file(archive, command_for(files_key))
        finally:
            shutil.rmtree(archive.parent, ignore_errors=True)
    await upload_bundle_to_storage(made["bundle"], key, command_for(key))


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
    include_files: tuple[str, ...]

    def __call__(self, *args: Any, return_state: bool = False, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # one way to call it
        """Run the flow on the infrastructure, wait, and return its value, or with `return_state` its final state."""
        future = self.submit(*args, **kwargs)
        if return_state:
            future.wait()
            return future.state
        return future.result()

    def with_options(self, **options: Any) -> InfrastructureBoundFlow:
        """Return a copy with these options changed; see `Flow.with_options`.

        `job_variables`, `launcher` and `include_files` may change too, the pool may not.
        """
        own = {name: options.pop(name, getattr(self, name)) for name in ("job_variables", "launcher", "include_files")}
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
        return bridge.run_awaitable(self._sent_to_pool(self.bind(args, kwargs)))

    async def _sent_to_pool(self, parameters: dict[str, Any]) -> HeadraceFlowRunFuture[Any]:
        async with get_client() as client:
            pool = await client.read_work_pool(self.work_pool)
            storage = pool.storage_configuration
            if not storage.bundle_upload_step or not storage.bundle_execution_step:
                raise RuntimeError(_no_storage(pool))
            key = str(ids.new())
            command = convert_step_to_command(storage.bundle_execution_step, key, (self.launcher or {}).get("execution"))
            env = {PERSIST: "true", **await environment_for_results(pool), **self.job_variables.get("env", {})}
            variables = {**self.job_variables, "env": env, "command": shlex.join(command)}
            told = self.serialize_parameters(parameters)
            run = await client.create_flow_run(self, parameters=told, state=Pending(), work_pool_name=self.work_pool, job_variables=variables)
            packing = self._packing()
            run, made = await _packed(self._plain(), None, None, run, packing)
            await _upload(storage, key, made, packing)
            await client.set_flow_run_state(run.id, Scheduled(), force=True)  # from here on a worker may take it
            return HeadraceFlowRunFuture(run.id)

    def _packing(self) -> Packing:
        return Packing(self.launcher, self.include_files)

    def _plain(self) -> Flow[..., Any]:
        flow = cast("Flow[..., Any]", Flow.__new__(Flow))
        flow.__dict__.update(self.__dict__)
        for name in ("work_pool", "job_variables", "worker_cls", "launcher", "include_files"):
            flow.__dict__.pop(name, None)
        return flow

    def _submitted(self, parameters: dict[str, Any], flow_run: FlowRun | None) -> HeadraceFlowRunFuture[Any]:
        submitted: Future[HeadraceFlowRunFuture[Any]] = Future()

        async def work() -> None:
            async with self.worker_cls(work_pool_name=self.work_pool) as worker:
                submitted.set_result(await submit_to_worker(worker, self._plain(), parameters, self.job_variables, flow_run, self._packing()))

        def run() -> None:
            bridge.mode.set("async")  # in the thread's own copy of the context, as all that follows
            context.enter(context.RunContext(tags=context.current().tags))  # the caller's run is not the worker's
            try:
                asyncio.run(work())
            except BaseException as error:  # noqa: BLE001  # the thread's border: whoever waits for the submission hears of it
                if not submitted.done():
                    submitted.set_exception(error)

        thread = threading.Thread(target=copy_context().run, args=(run,), name=f"headrace-submit-{self.name}")
        _see_through(thread)
        thread.start()
        return submitted.result()


_POOL = ThreadPoolExecutor
_threads: list[threading.Thread] = []
"""Those in which workers see submitted flows through."""


def _see_through(thread: threading.Thread) -> None:
    """Have the interpreter wait for a thread while the thread pools that the worker in it needs are open."""
    _threads[:] = [one for one in _threads if one.is_alive()]
    _threads.append(thread)
    _wait_at_exit()


@cache
def _wait_at_exit() -> None:
    """Wait before the pools are closed: what closes them was registered with `_POOL`, and who registered last comes first."""
    getattr(threading, "_register_atexit", atexit.register)(_wait_for_threads)


def _wait_for_threads() -> None:
    for thread in list(_threads):
        if thread.ident is not None:
            thread.join()


def bind_flow_to_infrastructure(
    flow: Flow[..., Any],
    work_pool: str,
    worker_cls: type[BaseWorker[Any, Any, Any]],
    job_variables: dict[str, Any] | None = None,
    launcher: BundleLauncher | Sequence[str] | None = None,
    include_files: Sequence[str] | None = None,
) -> InfrastructureBoundFlow:
    """Return a flow that runs on the infrastructure of a work pool when it is called.

    `worker_cls` starts it there; `job_variables` go before the pool's template. `launcher`: what starts Python with the packages that the bundle
    needs, for all or for `upload` and `execution` each; default: `uv run` with what the pool's storage needs. `include_files`: paths and patterns
    of other files beside the flow's, which stand in the working directory of its runs; `headrace.deploy.bundles.files` says how they are read.
    Raises `ValueError` for a pattern that is no text or a blank one.
    """
    bound = InfrastructureBoundFlow.__new__(InfrastructureBoundFlow)
    bound.__dict__.update(flow.__dict__)
    bound.work_pool = work_pool
    bound.worker_cls = worker_cls
    bound.job_variables = dict(job_variables or {})
    bound.include_files = checked_patterns(include_files)
    if launcher is None or isinstance(launcher, dict):
        bound.launcher = launcher
    else:
        bound.launcher = BundleLauncher(upload=list(launcher), execution=list(launcher))
    return bound
