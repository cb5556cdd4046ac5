"""Whether a run's result is kept, where, and within which transaction it is made."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.client.bridge import drive
from headrace.data.transaction_core import BaseTransaction, current_transaction
from headrace.engine import logs
from headrace.model import clock
from headrace.model.errors import ResultStorageError, SerializationError, StoreError

if TYPE_CHECKING:
    from datetime import datetime

    from headrace.data.results import ResultStore
    from headrace.data.task_record import TaskRecord
    from headrace.engine.context import FlowRunContext, TaskRunContext
    from headrace.engine.flow import Flow
    from headrace.engine.flow_run import FlowCall
    from headrace.engine.outcome import Outcome
    from headrace.engine.ports import Ports
    from headrace.engine.task import Task
    from headrace.engine.task_run import TaskCall


@dataclass(slots=True)
class Keeping:
    """How one task run's result is kept. Without a `key` nothing is written, but hooks still take part in a transaction."""

    key: str | None
    store: ResultStore | None
    isolation_level: Any = None
    overwrite: bool = False
    expiration: datetime | None = None


def plan(call: TaskCall) -> Keeping | None:
    """Return how the run's result is kept, or None for a run that keeps nothing and takes part in no transaction."""
    task, context = call.task, call.context
    assert context is not None
    enclosing = call.enclosing or call.frame
    inherited = enclosing.persist_result if enclosing is not None else None
    if task.persist_result is None and inherited is False and not _tasks_persist_by_default():
        persists = False
    else:
        from headrace.data.result_decisions import decide_task_persistence

        persists = decide_task_persistence(task.persist_result, inherited)
    context.persist_result = persists
    if not persists:
        return Keeping(None, None) if task.on_commit_hooks or task.on_rollback_hooks or current_transaction.get() is not None else None
    return _keyed(call, context)


def _tasks_persist_by_default() -> bool:
    from headrace.settings import get_current_settings

    return bool(get_current_settings().tasks.default_persist_result)


def _keyed(call: TaskCall, context: TaskRunContext) -> Keeping:
    from headrace.data.caching import cache_key
    from headrace.data.result_decisions import storage_key_from
    from headrace.settings import get_current_settings

    task = call.task
    context.result_store_factory = partial(store_for_task, task, call.enclosing, call.frame)
    policy = task.cache_policy
    if task.result_storage_key is not None:
        from headrace.engine.runtime import deployment, flow_run, task_run

        key: str | None = storage_key_from(
            task.result_storage_key,
            parameters=call.parameters,
            flow_run=flow_run,
            task_run=task_run,
            deployment=deployment,
        )
    else:
        flow_parameters = call.frame.parameters if call.frame is not None else {}
        key = cache_key(policy, context, call.parameters, flow_parameters, partial(_warn, call))
    call.record.cache_key = key
    expiration = clock.now() + task.cache_expiration if task.cache_expiration is not None else None
    if expiration is not None:
        call.record.cache_expiration = clock.to_us(expiration)
    refresh = task.refresh_cache if task.refresh_cache is not None else get_current_settings().tasks.refresh_cache
    store = context.result_store if key is not None else None
    if store is not None:
        store.serializer  # noqa: B018  # an unknown one is found out before the task's code runs
    return Keeping(key, store, policy.isolation_level, refresh, expiration)


def _warn(call: TaskCall, message: str, *values: Any) -> None:
    frame = call.frame
    flow_run, flow_name = (frame.flow_run, frame.flow.name) if frame is not None else (None, None)
    logs.task_log(call.record, flow_run, flow_name, 30, message, *values)


def store_for_flow(flow: Flow[..., Any], parent: FlowRunContext | None) -> ResultStore:
    """Return the store of a flow's runs: its own options, else the parent's, else the settings'."""
    from headrace.data.results import ResultStore

    base = parent.result_store if parent is not None else None
    return drive((base or ResultStore()).aupdate_for_flow(flow))


def store_for_task(task: Task[..., Any], enclosing: TaskRunContext | None, frame: FlowRunContext | None) -> ResultStore:
    """Return the store of a task's runs: its own options, else those of the enclosing task or flow, else the settings'."""
    from headrace.data.results import ResultStore

    base = enclosing.result_store if enclosing is not None else None
    if base is None and frame is not None:
        base = frame.result_store
    return drive((base or ResultStore()).aupdate_for_task(task))


async def within_transaction(call: TaskCall, keeping: Keeping, ports: Ports) -> Outcome:
    """Make one attempt in a transaction of its own. The outcome carries the open transaction: see `Outcome.transaction`."""
    from headrace.data.transactions import AsyncTransaction, Transaction
    from headrace.engine.outcome import failed, run_body

    task, record = call.task, call.record
    kind = AsyncTransaction if ports.mode == "async" else Transaction
    transaction: BaseTransaction = kind(
        keeping.key,
        keeping.store,
        isolation_level=keeping.isolation_level,
        overwrite=keeping.overwrite,
        write_on_commit=keeping.key is not None,
        label=f"task {record.name!r}",
        lookup_errors="warn",
        of_task=True,
    )
    try:
        await transaction.open()
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  # options that name no such storage, or ask for what it cannot do: the run fails with them
        return failed(error)
    try:
        found = await transaction.find_record() if transaction.is_committed() else None
        if found is not None:
            return await _cached(call, found, transaction)
        outcome = await run_body(call, ports)
    except BaseException as error:
        await transaction.close(error)
        raise
    outcome.transaction = transaction
    if outcome.kind == "COMPLETED":
        transaction.expiration = keeping.expiration
        transaction.stage(outcome.value, [partial(_mark_rolled_back, record), *task.on_rollback_hooks], task.on_commit_hooks)
    return outcome


async def _cached(call: TaskCall, found: Any, transaction: BaseTransaction) -> Outcome:
    from headrace.engine.outcome import Outcome

    reference = await transaction.store.areference(found)
    value = found.result
    return Outcome("COMPLETED", "Cached", value=value, data=value, metadata=reference, transaction=transaction)


def _mark_rolled_back(record: TaskRecord, transaction: Any) -> None:
    """Say of a run that had completed that its work was undone. A run that is not recorded as ended yet is told by its own outcome."""
    if record.is_final:
        from headrace.client.recording import spool

        record.enter("COMPLETED", "RolledBack", data=record.data)
        spool().close_record(record)


async def settle(call: TaskCall, outcome: Outcome) -> None:
    """End the outcome's transaction: commit or stage what completed, roll back what failed. An explicitly kept result that cannot be kept fails."""
    transaction = outcome.transaction
    if transaction is None:
        return
    if outcome.kind != "COMPLETED":
        await transaction.close(outcome.error or RuntimeError(outcome.message))
        context = call.context
        if context is not None and context.persist_result and context.result_store is not None:
            await _keep_exception(context.result_store, outcome)
        return
    await transaction.close()
    failure = transaction.failure
    if failure is not None and transaction.is_rolled_back():
        if call.task.persist_result and isinstance(failure, (ResultStorageError, SerializationError)):
            outcome.kind, outcome.name, outcome.error, outcome.data = "FAILED", "Failed", failure, failure
            outcome.message = f"Task run's result cannot be kept: {failure}"
        return
    if transaction.is_rolled_back():
        outcome.name = "RolledBack"  # the transaction around it was rolled back before this run ended
        return
    if transaction.key is not None and outcome.metadata is None:
        written = transaction.store.create_result_record(outcome.value, transaction.key, transaction.expiration)
        outcome.metadata = await transaction.store.areference(written)


async def _keep_exception(store: ResultStore, outcome: Outcome) -> None:
    """Write the exception of a failed run. One that cannot be written is told by the state's message alone, as where nothing is kept."""
    if outcome.kind != "FAILED" or outcome.error is None:
        return
    record = store.create_result_record(outcome.error)
    with suppress(ResultStorageError, SerializationError):
        await store.apersist_result_record(record)
        outcome.metadata = await store.areference(record)


def persists_by_default() -> bool:
    """Say whether a flow outside other flows keeps its result where it does not say so itself."""
    from headrace.data.result_decisions import decide_flow_persistence

    return decide_flow_persistence(None, None)


async def persist_flow_result(call: FlowCall, outcome: Outcome) -> None:
    """Write what a flow run ended with. A value that cannot be written is logged; the run completes all the same, unless the flow itself
    asked to keep it."""
    frame = call.frame
    if frame is None or frame.result_store is None:
        return
    store = frame.result_store
    if outcome.kind != "COMPLETED":
        if call.record.attempt > call.flow.retries:  # else it is tried again
            await _keep_exception(store, outcome)
        return
    record = store.create_result_record(outcome.value)
    try:
        await store.apersist_result_record(record)
    except (ResultStorageError, SerializationError) as error:
        if call.flow.persist_result:
            outcome.kind, outcome.name, outcome.error, outcome.data = "FAILED", "Failed", error, error
            outcome.message = f"Flow run's result cannot be kept: {error}"
        else:
            logs.flow_log(frame.flow_run, call.flow.name, 30, "The flow run's result is not kept: %s", error)
        return
    outcome.metadata = await store.areference(record)
