"""A flow that pauses until somebody approves, with a typed answer.

python approval.py                     # pauses, and prints the id of its run
python approval.py RUN_ID --amount 50  # in another terminal: approves
"""

import argparse
from uuid import UUID

from headrace import flow, pause_flow_run, resume_flow_run
from headrace.input import RunInput
from headrace.runtime import flow_run


class Approval(RunInput):
    """Who approves, and how much."""

    by: str
    amount: int


@flow(log_prints=True)
def spend(wish: int) -> int:
    """Spend what is approved, which may be less than what is wished for."""
    print(f"May we spend {wish}? Approve the run {flow_run.id}")
    approval = pause_flow_run(wait_for_input=Approval, timeout=60, poll_interval=1)
    spent = min(wish, approval.amount)
    print(f"{approval.by} approved {approval.amount}, so we spend {spent}")
    return spent


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("run_id", nargs="?", type=UUID)
    arguments.add_argument("--amount", type=int, default=100)
    given = arguments.parse_args()
    if given.run_id is None:
        spend(80)
    else:
        resume_flow_run(given.run_id, run_input={"by": "Grace", "amount": given.amount})
