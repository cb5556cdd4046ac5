"""A limit that holds across processes: at most two tasks use the database at once, however many run."""

import threading
import time

from headrace import flow, task
from headrace.client.orchestration import get_client
from headrace.concurrency.sync import concurrency

lock = threading.Lock()
inside = most = 0


@task
def query(number: int) -> int:
    global inside, most
    with concurrency("database", occupy=1):
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.05)
        with lock:
            inside -= 1
    return number


@flow(log_prints=True)
def query_all(count: int) -> None:
    """Submit many queries; the limit lets two at a time through."""
    numbers = query.map(range(count)).result()
    print(f"{len(numbers)} queries, at most {most} at once")


if __name__ == "__main__":
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name("database", limit=2)
    query_all(8)
