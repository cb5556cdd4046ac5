"""Deploy a flow that suspends itself for input, one that lasts, and a limit of one run at a time, to a process work pool."""

import json
import sys
from pathlib import Path

from prefect import flow

CODE = """
import time

from prefect import flow, suspend_flow_run
from prefect.input import RunInput


class Price(RunInput):
    coins: int


@flow(name="market", persist_result=True)
def market() -> int:
    price = suspend_flow_run(wait_for_input=Price, timeout=300)
    return price.coins


@flow(name="long", log_prints=True)
def long(seconds: float = 0.0) -> None:
    print("begun")
    time.sleep(seconds)
"""

folder = Path(sys.argv[1])
(folder / "code.py").write_text(CODE)
for name, limit in (("market", None), ("long", 1)):
    found = flow.from_source(source=str(folder), entrypoint=f"code.py:{name}")
    found.deploy(name="stall", work_pool_name="mill", build=False, push=False, concurrency_limit=limit, print_next_steps=False)
print(json.dumps({"deployed": 2}))
