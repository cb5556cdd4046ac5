"""The flow that `headrace.yaml` beside it deploys.

headrace work-pool create machines --type process
export POOL=machines
headrace deploy --all
headrace worker start --pool machines    # in another terminal
headrace deployment run import-orders/nightly --watch
"""

import os

from headrace import flow


@flow(log_prints=True)
def import_orders(day: str = "today") -> None:
    """Pretend to import the orders of a day."""
    print(f"orders of {day} for {os.environ.get('STAGE', 'nobody')}")
