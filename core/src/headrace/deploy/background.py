"""Runs of tasks in the background: handed to task workers through the server, their parameters through result storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.websocket import api_url
from headrace.data.results import ResultStore
from headrace.deploy.background_futures import HeadraceDistributedFuture
from headrace.engine.context import current, serialize_context
from headrace.engine.dependencies import find_futures, listed
from headrace.engine.task_runners.base import TaskRunner
from headrace.model import clock, ids
from headrace.model.endpoints.task_runs import CREATE_TASK_RUN
from headrace.model.errors import SerializationError
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.task_runs import TaskRunCreate, TaskRunPolicy

if TYPE_CHECKING:
    from typing import Self

    from headrace.engine.task import Task

R = TypeVar("R")


class HeadraceTaskRunner(TaskRunner[HeadraceDistributedFuture[Any]]):
    """Hands the tasks that a flow submits to task workers. The tasks must be served, see `headrace.task_worker.serve`."""

    def duplicate(self) -> Self:
        return type(self)()

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[Any] | None = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> HeadraceDistributedFuture[Any]:
        self.require_started()
        return submit_in_background(task, parameters, listed(wait_for), dependencies)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeadraceTaskRunner)

    def __hash__(self) -> int:
        return hash(type(self))


def submit_in_background(
    task: Task[..., R], parameters: dict[str, Any], wait_for: list[Any] | None = None, dependencies: Mapping[str, Any] | None = None
) -> HeadraceDistributedFuture[R]:
    """Create a scheduled run that the next free task worker begins; return its future at once.

    Runs of this process among the arguments and in `wait_for` are waited for here, since they cannot travel; runs in the background are waited for
    by the worker. Raises `ConfigurationError` without a server, `SerializationError` for arguments that cannot travel; then there is no run.
    """
    api_url(f"Running the task {task.name!r} in the background")
    here = current()
    sources = {name: _sources(value) for name, value in parameters.items()} | {name: list(given) for name, given in (dependencies or {}).items()}
    if wait_for:
        sources["wait_for"] = _sources(wait_for)
    document: dict[str, Any] = {"parameters": _portable(parameters)}
    if wait_for:
        document["wait_for"] = _portable(wait_for)
    if here.flow is not None or here.task is not None:
        document["context"] = _pickled_context()
    parameters_id, now = ids.new(), clock.now()
    drive(astore_parameters(drive(aparameter_store(task)), parameters_id, document))
    details = StateDetails(deferred=True, scheduled_time=now, task_parameters_id=parameters_id)
    body = TaskRunCreate(
        name=task.name,
        flow_run_id=here.flow.flow_run.id if here.flow is not None else None,
        task_key=task.task_key,
        dynamic_key=f"{task.task_key}-{ids.random_hex()}",
        task_version=task.version,
        tags=sorted(here.tags | task.tags),
        empirical_policy=TaskRunPolicy(
            retries=task.retries, retry_delay=cast("Any", task.retry_delay_seconds), retry_jitter_factor=task.retry_jitter_factor
        ),
        state=StateCreate(type=StateType.SCHEDULED, name="Scheduled", state_details=details),
        task_inputs=sources,
    )
    run = drive(current_client().call(CREATE_TASK_RUN, body))
    return HeadraceDistributedFuture(run.id, run.name)


def _sources(value: Any) -> list[Any]:
    from headrace.model.task_runs import TaskRunResult

    return [TaskRunResult(id=future.task_run_id) for future in find_futures(value)]


def _portable(expr: Any) -> Any:
    """Put values in the place of this process's runs, and plain futures in that of background runs."""
    from headrace.data.annotations import allow_failure, quote
    from headrace.data.collections import StopVisiting, visit_collection
    from headrace.engine.futures import HeadraceFuture, HeadraceFutureList

    def visit(value: Any, context: dict[str, Any]) -> Any:
        annotation = context.get("annotation")
        if isinstance(annotation, quote):
            raise StopVisiting
        if isinstance(value, HeadraceFutureList):
            return list(cast("list[Any]", value))
        if isinstance(value, HeadraceFuture) and type(cast("object", value)) is not HeadraceDistributedFuture:
            future = cast("HeadraceFuture[Any]", value)
            raise StopVisiting(future.result(raise_on_failure=not isinstance(annotation, allow_failure)))
        return cast("Any", value)

    portable: Any = visit_collection(expr, visit, return_data=True, context={})
    return portable


def _pickled_context() -> bytes | None:
    """Return the present context in a form of its own: a worker that lacks the flow's module can do without it."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]  # it has none

    context = {name: value for name, value in serialize_context().items() if name != "settings_context"}
    try:
        return cloudpickle.dumps(context)  # pyright: ignore[reportUnknownMemberType]  # untyped
    except Exception:  # noqa: BLE001  # pickling runs users' code, and the run does not need it
        return None


# --- parameters -----------------------------------------------------------------------------------------------------------------


async def aparameter_store(task: Task[..., Any]) -> ResultStore:
    """Return where the parameters of a task's background runs are kept: its own result storage, else that of the settings."""
    from headrace.data.result_decisions import aget_or_create_default_task_scheduling_storage, aresolve_result_storage

    storage = task.result_storage or await aget_or_create_default_task_scheduling_storage()
    return ResultStore(result_storage=await aresolve_result_storage(storage), cache_result_in_memory=False)


async def astore_parameters(result_store: ResultStore, identifier: UUID, parameters: dict[str, Any]) -> None:
    """Write what a background run is called with; plain data as JSON, anything else pickled. Raises `SerializationError`."""
    store = result_store.replace(serializer="json" if _is_plain(parameters) else "pickle")
    try:
        await store.apersist_result_record(store.create_result_record(parameters, _key(identifier)))
    except SerializationError as error:
        raise SerializationError(
            f"The arguments of a background run must be such as can be pickled, for another process reads them. {error} Pass plain data, or "
            "what to load it by."
        ) from error


async def aread_parameters(result_store: ResultStore, identifier: UUID) -> dict[str, Any]:
    """Return what `astore_parameters` wrote. Raises `MissingResult`, `ResultStorageError`, `SerializationError`."""
    return (await result_store.aread(_key(identifier))).result


def _key(identifier: UUID) -> str:
    return f"parameters/{identifier}"


def _is_plain(value: Any) -> bool:
    kind = cast("Any", type(value))
    if kind is dict:
        return all(type(key) is str and _is_plain(one) for key, one in cast("dict[Any, Any]", value).items())
    if kind is list:
        return all(map(_is_plain, cast("list[Any]", value)))
    return kind in (str, int, bool, float, type(None))
