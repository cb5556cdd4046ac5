"""Deleting runs with all that hangs on them. Rows of task runs, states and logs are bound to no key, so each is named here."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.store.database import Transaction
from headrace.store.statements.runs import SELECT_FLOW


def delete_flow(tx: Transaction, flow_id: bytes) -> None:
    """Delete a flow with its deployments and all its runs."""
    if tx.caller.is_server:
        from headrace.operations.events.lifecycle import tell
        from headrace.operations.runs.encoding import flow_out

        for row in tx.sql(SELECT_FLOW, (flow_id,)):
            tell(tx, "flow", "deleted", flow_out(row))
    deployments = tx.sql("SELECT id FROM deployment WHERE flow_id = ?", (flow_id,))
    if deployments:
        from uuid import UUID

        from headrace.operations.deployments.deployment_rows import delete_deployment_row, find_deployment

        for (key,) in deployments:
            delete_deployment_row(tx, find_deployment(tx, UUID(bytes=key)))
    delete_flow_runs(tx, [run for (run,) in tx.sql("SELECT id FROM flow_run WHERE flow_id = ?", (flow_id,))])
    tx.sql("DELETE FROM flow WHERE id = ?", (flow_id,))


def delete_flow_runs(tx: Transaction, run_ids: Sequence[bytes]) -> None:
    """Delete flow runs, their states, task runs, inputs and logs, and give back what slots they hold."""
    for run_id in run_ids:
        _release(tx, run_id)
        for (task_id,) in tx.sql("SELECT id FROM task_run WHERE flow_run_id = ?", (run_id,)):
            _release(tx, task_id)
        tx.sql("DELETE FROM task_run_state WHERE task_run_id IN (SELECT id FROM task_run WHERE flow_run_id = ?)", (run_id,))
        tx.sql("DELETE FROM task_run WHERE flow_run_id = ?", (run_id,))
        tx.sql("DELETE FROM flow_run_state WHERE flow_run_id = ?", (run_id,))
        tx.sql("DELETE FROM log WHERE flow_run_id = ?", (run_id,))
        tx.sql("DELETE FROM flow_run WHERE id = ?", (run_id,))


def delete_task_run(tx: Transaction, run_id: bytes) -> bool:
    """Delete a task run, its states and logs. Return whether there was one."""
    _release(tx, run_id)
    tx.sql("DELETE FROM task_run_state WHERE task_run_id = ?", (run_id,))
    tx.sql("DELETE FROM log WHERE task_run_id = ?", (run_id,))
    return tx.sql_count("DELETE FROM task_run WHERE id = ?", (run_id,)) > 0


def _release(tx: Transaction, holder: bytes) -> None:
    leases = tx.sql("SELECT id FROM concurrency_lease WHERE holder_id = ?", (holder,))
    if leases:
        from uuid import UUID

        from headrace.operations.limits import slots

        for (lease,) in leases:
            slots.release_lease(tx, UUID(bytes=lease))
