"""Several servers on one PostgreSQL: whoever is at it at the same time, the answer is one that a single server could have given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.model import ids
from headrace.model.caller import Caller
from headrace.model.concurrency import ConcurrencyLimitV2Create, IncrementSlots, IncrementSlotsWithLease
from headrace.model.endpoints import concurrency, flow_runs, flows, task_runs
from headrace.model.endpoints.base import Endpoint
from headrace.model.errors import SlotsUnavailable
from headrace.model.flow_runs import FlowRunCreate
from headrace.model.flows import FlowCreate
from headrace.model.orchestration import SetState, SetStateStatus
from headrace.model.states import StateCreate, StateType
from headrace.model.task_runs import TaskRunCreate
from headrace.operations.table import answer
from headrace.store.database import Database

pytestmark = pytest.mark.services

SERVERS = 4
SERVER = Caller(is_server=True)


@pytest.fixture
def servers(postgres_url: str) -> Iterator[list[Database]]:
    made = [Database(postgres_url) for _ in range(SERVERS)]
    yield made
    for one in made:
        one.close()


def ask(server: Database, endpoint: Endpoint[Any], body: Any = None, **parameters: Any) -> Any:
    return answer(server, endpoint, body, parameters, SERVER)[0]


def at_once(servers: list[Database], act: Callable[[Database, int], Any], times: int = 4) -> list[Any]:
    """Let every server do `act` several times at the same time, and return what came of it, errors included."""
    found: list[Any] = []
    start = threading.Barrier(len(servers) * times)

    def one(server: Database, number: int) -> None:
        start.wait()
        try:
            found.append(act(server, number))
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=one, args=(server, n * times + k)) for n, server in enumerate(servers) for k in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_limit_is_never_oversubscribed(servers: list[Database]) -> None:
    ask(servers[0], concurrency.CREATE_LIMIT, ConcurrencyLimitV2Create(name="a", limit=3))
    ask(servers[0], concurrency.CREATE_LIMIT, ConcurrencyLimitV2Create(name="b", limit=5))

    def take(server: Database, number: int) -> Any:
        names = ["a", "b"] if number % 2 else ["b", "a"]
        if number % 3:
            return ask(server, concurrency.INCREMENT_SLOTS_WITH_LEASE, IncrementSlotsWithLease(names=names, slots=1, lease_duration=60))
        return ask(server, concurrency.INCREMENT_SLOTS, IncrementSlots(names=names, slots=1))

    found = at_once(servers, take)
    refused = [one for one in found if isinstance(one, Exception)]
    assert len(found) - len(refused) == 3
    assert all(isinstance(one, SlotsUnavailable) for one in refused), refused
    assert ask(servers[1], concurrency.READ_LIMIT, id_or_name="a").active_slots == 3
    assert ask(servers[1], concurrency.READ_LIMIT, id_or_name="b").active_slots == 3


def test_one_of_many_proposals_wins(servers: list[Database]) -> None:
    flow = ask(servers[0], flows.CREATE_FLOW, FlowCreate(name="f"))
    scheduled = StateCreate(type=StateType.SCHEDULED)
    run = ask(servers[0], flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, state=scheduled))
    pending = SetState(state=StateCreate(type=StateType.PENDING))
    found = at_once(servers, lambda server, _: ask(server, flow_runs.SET_FLOW_RUN_STATE, pending, id=run.id))
    assert [one for one in found if isinstance(one, Exception)] == []
    assert sum(one.status is SetStateStatus.ACCEPT for one in found) == 1
    with servers[0].read() as tx:
        assert tx.sql("SELECT COUNT(*) FROM flow_run_state") == [(2,)]


def test_get_or_create_makes_one(servers: list[Database]) -> None:
    made = at_once(servers, lambda server, _: ask(server, flows.CREATE_FLOW, FlowCreate(name="once")))
    assert len({flow.id for flow in made}) == 1
    flow_id = made[0].id
    runs = at_once(servers, lambda server, _: ask(server, flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow_id, idempotency_key="k")))
    assert len({run.id for run in runs}) == 1
    body = TaskRunCreate(flow_run_id=runs[0].id, task_key="t", dynamic_key="0", name="t")
    tasks = at_once(servers, lambda server, _: ask(server, task_runs.CREATE_TASK_RUN, body))
    assert len({task.id for task in tasks}) == 1
    own = TaskRunCreate(id=ids.new(), flow_run_id=None, task_key="t", dynamic_key="0", name="t")
    tasks = at_once(servers, lambda server, _: ask(server, task_runs.CREATE_TASK_RUN, own))
    assert {task.id for task in tasks} == {own.id}
    with servers[0].read() as tx:
        assert tx.sql("SELECT COUNT(*) FROM flow_run_state") == [(1,)]  # what lost the race left nothing behind
