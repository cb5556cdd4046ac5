"""A flow that waits for input, and one that waits for a nod."""

from prefect import flow, pause_flow_run
from prefect.input import RunInput


class Order(RunInput):
    sacks: int
    grain: str = "rye"


@flow(name="asks")
def asks() -> str:
    order = pause_flow_run(wait_for_input=Order, timeout=90, poll_interval=1)
    pause_flow_run(timeout=90, poll_interval=1)
    return f"{order.sacks} of {order.grain}"


print("ANSWER", asks())
