"""An async flow: retries with growing, jittered delays, a transaction that is rolled back, results that are kept, a wait for another run."""

import asyncio
import json

from prefect import flow, task
from prefect.flow_runs import wait_for_flow_run
from prefect.tasks import exponential_backoff
from prefect.transactions import transaction

tries = []
undone = []


@task(retries=2, retry_delay_seconds=exponential_backoff(backoff_factor=0.1), retry_jitter_factor=0.5)
async def shaky() -> int:
    tries.append(1)
    if len(tries) < 3:
        raise ValueError("not yet")
    return len(tries)


@task
def write(name: str) -> str:
    return name


@write.on_rollback
def unwrite(transaction) -> None:
    undone.append(transaction.get("name"))


@task(persist_result=True, result_storage_key="kept-{parameters[n]}")
async def kept(n: int) -> int:
    return n * n


@flow(name="tide")
async def tide() -> dict:
    tried = await shaky()
    try:
        with transaction() as whole:
            whole.set("name", "mud")
            write("mud")
            raise RuntimeError("the tide turned")
    except RuntimeError:
        pass
    squares = [await kept(n) for n in (2, 3)]
    many = await asyncio.gather(*(kept(n) for n in (4, 5)))
    return {"tried": tried, "squares": squares + many, "undone": len(undone)}


async def main() -> None:
    state = await tide(return_state=True)
    run_id = state.state_details.flow_run_id
    waited = await wait_for_flow_run(run_id, timeout=20, poll_interval=1)
    print(json.dumps({**await state.result(), "id": str(run_id), "waited": waited.state.name}))


asyncio.run(main())
