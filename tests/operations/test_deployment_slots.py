"""Deployments that limit how many of their runs are under way: who gets a slot, for how long, and what becomes of the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from headrace.model import clock
from headrace.model.caller import SERVICE, Caller
from headrace.model.concurrency import ConcurrencyLimitV2Update, RenewLease
from headrace.model.deployments import DeploymentFlowRunCreate
from headrace.model.endpoints import concurrency, deployments, flow_runs
from headrace.model.errors import LeaseGone
from headrace.model.flow_runs import FlowRunPolicy
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateType
from headrace.operations.runs import transitions
from headrace.settings import get_current_settings, temporary_settings
from headrace.store.database import Database
from headrace.testing.clock import ControlledClock
from headrace.testing.fixtures import controlled_clock
from operations.deployed import deploy, propose

__all__ = ["controlled_clock"]

RENEWING = Caller(is_server=True, client_version=(3, 8, 8))


def full(server: Any, runs: int = 2, limit: int = 1, **fields: Any) -> tuple[Any, list[Any]]:
    """Return a deployment whose limit the first of its runs has filled, and the runs."""
    made = deploy(server, concurrency_limit=limit, **fields)
    created = [server(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate(), id=made.id) for _ in range(runs)]
    assert propose(server, created[0], "PENDING").status == "ACCEPT"
    return made, created


def taken(server: Any, deployment: Any) -> int:
    return server(deployments.READ_DEPLOYMENT, id=deployment.id).global_concurrency_limit.active_slots


def propose_as(server: Any, caller: Caller, run: Any, kind: str) -> Any:
    return server.answer(flow_runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=StateType(kind))), caller, id=run.id)[0]


def test_slot_is_a_lease_that_the_states_carry(server: Any) -> None:
    made, (first, second) = full(server)
    lease = server(flow_runs.READ_FLOW_RUN, id=first.id).state.state_details.deployment_concurrency_lease_id
    assert lease is not None
    for kind, name in (("PENDING", "Submitting"), ("RUNNING", "Running"), ("CANCELLING", "Cancelling")):
        assert propose(server, first, kind, name=name).state.state_details.deployment_concurrency_lease_id == lease
        assert taken(server, made) == 1
    answer = propose(server, second, "PENDING")
    assert (answer.status, answer.details.reason) == ("REJECT", "Deployment concurrency limit reached.")
    assert answer.state.name == "AwaitingConcurrencySlot"
    propose(server, first, "CANCELLED")
    assert taken(server, made) == 0
    assert propose(server, second, "PENDING").status == "ACCEPT"


def test_waiting_run_asks_again_after_the_time_that_is_set(server: Any) -> None:
    _, (_, second) = full(server)
    with temporary_settings({"HEADRACE_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": 7}):
        state = propose(server, second, "PENDING").state
    assert state.state_details.scheduled_time - state.timestamp == timedelta(seconds=7)


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "PAUSED", "SCHEDULED"])
@pytest.mark.parametrize("force", [False, True])
def test_slot_is_given_back_however_the_run_leaves(server: Any, end: str, force: bool) -> None:
    made, (first, _) = full(server)
    propose(server, first, "RUNNING", force=force)
    propose(server, first, end, force=force)
    assert taken(server, made) == 0


def test_deleted_run_gives_its_slot_back(server: Any) -> None:
    made, (first, _) = full(server)
    server(flow_runs.DELETE_FLOW_RUN, id=first.id)
    assert taken(server, made) == 0


def test_new_runs_may_be_cancelled(server: Any) -> None:
    _, (_, second) = full(server, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    answer = propose(server, second, "PENDING")
    assert (answer.status, answer.state.name) == ("REJECT", "Cancelled")


def test_late_run_of_a_full_deployment_is_cancelled_if_new_ones_are(server: Any) -> None:
    _, (_, second) = full(server, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    _, (_, patient) = full(server, name="patient")
    with server.database.write(SERVICE) as tx:
        assert transitions.mark_late(tx, second.id).state.name == "Cancelled"
        late = transitions.mark_late(tx, patient.id).state
        assert (late.name, late.state_details.scheduled_time) == ("Late", patient.next_scheduled_start_time)
        assert transitions.mark_late(tx, patient.id).details.reason == "This run is marked late already."


def test_limit_of_none_at_all_aborts_and_an_inactive_one_lets_pass(server: Any) -> None:
    made, (_, second) = full(server)
    name = made.global_concurrency_limit.name
    server(concurrency.UPDATE_LIMIT, ConcurrencyLimitV2Update(limit=0), id_or_name=name)
    assert propose(server, second, "PENDING").status == "ABORT"
    server(concurrency.UPDATE_LIMIT, ConcurrencyLimitV2Update(active=False), id_or_name=name)
    assert propose(server, second, "PENDING").status == "ACCEPT"


def test_retry_frees_the_slot_until_its_time(server: Any) -> None:
    made = deploy(server, concurrency_limit=1)
    body = DeploymentFlowRunCreate(empirical_policy=FlowRunPolicy(retries=1, retry_delay=60))
    run = server(deployments.CREATE_RUN_OF_DEPLOYMENT, body, id=made.id)
    assert [propose(server, run, kind).state.name for kind in ("PENDING", "RUNNING", "FAILED")] == ["Pending", "Running", "AwaitingRetry"]
    assert taken(server, made) == 0


# --- leases -------------------------------------------------------------------------------------------------------------


def lease_ends(server: Any, run: Any) -> datetime | None:
    lease = server(flow_runs.READ_FLOW_RUN, id=run.id).state.state_details.deployment_concurrency_lease_id
    with server.database.read() as tx:
        row = tx.sql_one("SELECT expires FROM concurrency_lease WHERE id = ?", (lease.bytes,))
    return clock.from_us(row[0]) if row is not None and row[0] is not None else None


def test_lease_lasts_for_the_grace_period_and_is_renewed_when_the_run_begins(server: Any, controlled_clock: ControlledClock) -> None:
    _, (first, _) = full(server, concurrency_options={"collision_strategy": "ENQUEUE", "grace_period_seconds": 120})
    assert lease_ends(server, first) == pytest.approx(clock.now() + timedelta(seconds=120), abs=timedelta(seconds=2))
    controlled_clock.pass_time(100)
    propose_as(server, RENEWING, first, "RUNNING")
    assert lease_ends(server, first) == pytest.approx(clock.now() + timedelta(seconds=300), abs=timedelta(seconds=2))


def test_client_that_renews_no_lease_holds_its_slot_until_it_ends(server: Any, controlled_clock: ControlledClock) -> None:
    made, (first, _) = full(server)
    propose(server, first, "RUNNING")
    assert lease_ends(server, first) is None
    controlled_clock.pass_time(86_400)
    assert taken(server, made) == 1
    propose(server, first, "COMPLETED")
    assert taken(server, made) == 0


def test_renewed_lease_holds_and_a_neglected_one_is_free(server: Any, controlled_clock: ControlledClock) -> None:
    made, (first, second) = full(server)
    lease = propose_as(server, RENEWING, first, "RUNNING").state.state_details.deployment_concurrency_lease_id
    controlled_clock.pass_time(200)
    server(concurrency.RENEW_LEASE, RenewLease(lease_duration=300), lease_id=lease)
    controlled_clock.pass_time(200)
    assert taken(server, made) == 1
    controlled_clock.pass_time(200)
    assert taken(server, made) == 0
    with pytest.raises(LeaseGone):
        server(concurrency.RENEW_LEASE, RenewLease(), lease_id=lease)
    assert propose_as(server, RENEWING, second, "PENDING").status == "ACCEPT"


@pytest.mark.parametrize("caller", [RENEWING, SERVICE], ids=["renewing", "other"])
def test_run_that_lost_its_slot_takes_a_new_one_or_is_cancelled(server: Any, controlled_clock: ControlledClock, caller: Caller) -> None:
    made, (first, second) = full(server)
    controlled_clock.pass_time(301)
    begun = propose_as(server, caller, first, "RUNNING")
    assert (begun.status, taken(server, made)) == ("ACCEPT", 1)
    propose(server, first, "COMPLETED")
    assert propose_as(server, caller, second, "PENDING").status == "ACCEPT"
    controlled_clock.pass_time(301)
    third = server(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate(), id=made.id)
    assert propose_as(server, caller, third, "PENDING").status == "ACCEPT"
    lost = propose_as(server, caller, second, "RUNNING")
    assert (lost.status, lost.state.name) == ("REJECT", "Cancelled")
    assert "slot was lost" in lost.state.message
    assert taken(server, made) == 1


def test_runs_that_race_get_no_more_slots_than_there_are(server: Any) -> None:
    made = deploy(server, concurrency_limit=2)
    runs = [server(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate(), id=made.id) for _ in range(9)]
    others = [Database(get_current_settings().server.database.connection_url.get_secret_value()) for _ in range(3)]

    def ask(number: int) -> str:
        with others[number % 3].write(SERVICE) as tx:
            body = SetState(state=StateCreate(type=StateType.PENDING))
            return transitions.set_flow_run_state(tx, runs[number].id, body).status

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, range(9)))
    assert (answers.count("ACCEPT"), answers.count("REJECT"), taken(server, made)) == (2, 7, 2)
    for database in others:
        database.close()
