"""The work that is timed, the same lines for both programs: `python workloads.py PACKAGE WORKLOAD`. Prints one line of JSON.

`seconds` is the time inside the flow, `visible_seconds` until the store shows every task run as Completed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import statistics
import sys
import threading
import time

package = importlib.import_module(sys.argv[1])
flow, task = package.flow, package.task


@task
def noop():
    return None


@task
def increment(number):
    return number + 1


@task
async def anoop():
    return None


@flow
def child():
    return None


def sequential(count):
    for _ in range(count):
        noop()


def submitted(count):
    futures = [noop.submit() for _ in range(count)]
    for future in futures:
        future.wait()


def mapped(count):
    increment.map(range(count)).result()


def chained(count):
    future = increment.submit(0)
    for _ in range(count - 1):
        future = increment.submit(future)
    assert future.result() == count


def subflows(count):
    for _ in range(count):
        child()


async def gathered(count):
    await asyncio.gather(*[anoop() for _ in range(count)])


def heard(count):
    """Log lines in a flow while another thread subscribes to them; return the median seconds until a line is heard."""
    from websockets.sync.client import connect

    address = os.environ[f"{package.__name__.upper()}_API_URL"].replace("http://", "ws://")
    ready, sent, took = threading.Event(), {}, []

    def listen(flow_run_id):
        with connect(f"{address}/logs/out", subprotocols=["prefect"]) as stream:
            stream.send(json.dumps({"type": "auth", "token": None}))
            stream.recv()
            stream.send(json.dumps({"type": "filter", "filter": {"flow_run_id": {"any_": [flow_run_id]}}}))
            time.sleep(1)
            ready.set()
            while len(took) < count:
                line = json.loads(stream.recv(timeout=30))["log"]
                if (began := sent.get(line["message"])) is not None:
                    took.append(time.perf_counter() - began)

    @flow
    def talking():
        logger = package.get_run_logger()
        own_id = importlib.import_module(f"{package.__name__}.runtime").flow_run.id
        listener = threading.Thread(target=listen, args=[str(own_id)])
        listener.start()
        ready.wait(30)
        for number in range(count):
            message = f"line {number}"
            sent[message] = time.perf_counter()
            logger.info(message)
            time.sleep(0.11 + number * 0.01)  # at no fixed beat of whoever sends in batches
        listener.join(60)

    talking()
    return statistics.median(took)


def peak_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def timed(body, count):
    """Run the body in a flow; return (flow-run id, seconds in the flow)."""
    taken = {}

    if asyncio.iscoroutinefunction(body):

        @flow(name=body.__name__)
        async def work():
            began = time.perf_counter()
            await body(count)
            taken["seconds"] = time.perf_counter() - began

        state = asyncio.run(work(return_state=True))
    else:

        @flow(name=body.__name__)
        def work():
            began = time.perf_counter()
            body(count)
            taken["seconds"] = time.perf_counter() - began

        state = work(return_state=True)
    assert state.is_completed(), state
    return state.state_details.flow_run_id, taken["seconds"]


def visible(flow_run_id, count, states):
    """Wait until the store shows `count` completed task runs of the flow run."""
    filters = importlib.import_module(f"{sys.argv[1]}.client.schemas.filters")

    async def look():
        deadline = time.perf_counter() + 180
        async with package.get_client() as client:
            while time.perf_counter() < deadline:
                seen = 0
                while True:
                    page = await client.read_task_runs(flow_run_filter=filters.FlowRunFilter(id={"any_": [flow_run_id]}), limit=200, offset=seen)
                    done = sum(run.state_type is not None and run.state_type.value in states for run in page)
                    seen += done
                    if done < 200:
                        break
                if seen >= count:
                    return
                await asyncio.sleep(0.05)
        raise SystemExit(f"only {seen} of {count} task runs became visible")

    asyncio.run(look())


def main():
    name, count = sys.argv[2], int(sys.argv[3])
    if name == "heard":
        print(json.dumps({"median": heard(count)}))
        return
    bodies = {body.__name__: body for body in (sequential, submitted, mapped, chained, subflows, gathered)}
    timed(noop_flow_body, 1)  # everything is imported and the store is open
    before_cpu, before_memory, began = time.process_time(), peak_kb(), time.perf_counter()
    flow_run_id, seconds = timed(bodies[name], count)
    answer = {"count": count, "seconds": seconds, "flow_seconds": time.perf_counter() - began}
    if name == "sequential" and "--visible" in sys.argv:
        visible(flow_run_id, count, {"COMPLETED"})
        answer["visible_seconds"] = time.perf_counter() - began
    answer["cpu_seconds"] = time.process_time() - before_cpu
    answer["memory_kb"] = peak_kb() - before_memory
    print(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0) if "--fast-exit" in sys.argv else None


def noop_flow_body(_):
    noop()


if __name__ == "__main__":
    main()
