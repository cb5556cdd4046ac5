"""A task worker."""

from prefect import task
from prefect.task_worker import serve


@task(name="grind", log_prints=True, persist_result=True)
def grind(sacks: int) -> int:
    print(f"grinding {sacks}")
    return sacks * 2


if __name__ == "__main__":
    serve(grind)
