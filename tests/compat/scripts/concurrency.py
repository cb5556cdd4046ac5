"""Slots of a named limit, a rate limit, a limit of a tag."""

import json
import time

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency, rate_limit

with get_client(sync_client=True) as client:
    client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="mill", limit=1))
    client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="rate", limit=2, slot_decay_per_second=2.0))
    client.create_concurrency_limit(tag="wheel", concurrency_limit=1)

inside = []
most = []


@task
def named(i: int) -> int:
    with concurrency("mill", occupy=1):
        inside.append(i)
        most.append(len(inside))
        time.sleep(0.2)
        inside.remove(i)
    return i


@task(tags=["wheel"])
def tagged(i: int) -> int:
    return i


@flow
def work() -> None:
    named.map([1, 2]).result()
    tagged.map([1, 2]).result()
    for _ in range(2):
        rate_limit("rate")


work()
print(json.dumps({"most": max(most)}))
