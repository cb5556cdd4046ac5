"""A flow with tasks and log lines."""

import json

from prefect import flow, get_run_logger, task
from prefect.runtime import flow_run


@task(tags=["sum"])
def add(a: int, b: int) -> int:
    get_run_logger().info("adding %s and %s", a, b)
    return a + b


@flow(name="hello", log_prints=True)
def hello(name: str = "world") -> str:
    print(f"Hello, {name}!")
    totals = add.map([1, 2, 3], 10).result()
    assert totals == [11, 12, 13]
    return str(flow_run.id)


print(json.dumps({"id": hello("headrace")}))
