"""Retries of a task and of a flow, a cached task, a subflow, a failing flow."""

import json

from prefect import flow, task
from prefect.cache_policies import INPUTS
from prefect.runtime import flow_run

seen = {"task": 0, "flow": 0}


@task(retries=2, retry_delay_seconds=0)
def shaky() -> str:
    seen["task"] += 1
    if seen["task"] < 3:
        raise RuntimeError("not yet")
    return "done"


@task(cache_policy=INPUTS, persist_result=True)
def square(x: int) -> int:
    return x * x


@flow(name="child")
def child(x: int) -> int:
    return square(x)


@flow(name="parent")
def parent() -> dict:
    shaky()
    first, again = child(7), square(7, return_state=True)
    assert first == 49
    return {"id": str(flow_run.id), "cached": again.name}


@flow(name="stubborn", retries=1)
def stubborn() -> str:
    seen["flow"] += 1
    if seen["flow"] == 1:
        raise RuntimeError("first try")
    return str(flow_run.id)


@flow(name="hopeless")
def hopeless() -> None:
    raise ValueError("no way")


state = hopeless(return_state=True)
print(json.dumps({"parent": parent(), "stubborn": stubborn(), "hopeless": str(state.state_details.flow_run_id), "state": state.name}))
