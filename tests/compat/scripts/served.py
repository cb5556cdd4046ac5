"""A flow that is served to a schedule-less deployment."""

import time

from prefect import flow


@flow(name="served", log_prints=True)
def served(seconds: float = 0.0) -> str:
    print(f"sleeping {seconds}")
    time.sleep(seconds)
    return "slept"


if __name__ == "__main__":
    served.serve(name="stand", tags=["stand"], parameters={"seconds": 0.0})
