"""A served deployment with two schedules. It needs a server: `headrace server start`, and HEADRACE_API_URL set to its address.

python serving.py             # serves until Ctrl-C
python serving.py --seconds 5 # in another terminal: has one run made now, and waits for it that long
"""

import argparse

from headrace import flow
from headrace.deployments import run_deployment
from headrace.schedules import Cron, Interval


@flow(log_prints=True)
def count_visitors(door: str = "north") -> None:
    """Pretend to count the visitors at a door."""
    print(f"{len(door)} visitors at the {door} door")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float)
    seconds = arguments.parse_args().seconds
    if seconds is None:
        count_visitors.serve(
            "doors",
            schedules=[
                Cron("0 9 * * 1-5", timezone="Europe/Berlin", slug="mornings"),
                Interval(2, parameters={"door": "south"}, slug="south"),
            ],
            limit=2,
        )
    else:
        run = run_deployment("count-visitors/doors", parameters={"door": "main"}, timeout=seconds)
        print(f"{run.name} ended in the state {run.state_name}")
