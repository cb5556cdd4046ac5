"""The smallest flow: a function whose runs are recorded."""

from headrace import flow, task


@task
def greet(name: str) -> str:
    return f"Hello, {name}!"


@flow(log_prints=True)
def hello(names: list[str]) -> int:
    """Greet everybody, each in a task run of its own."""
    for greeting in greet.map(names).result():
        print(greeting)
    return len(names)


if __name__ == "__main__":
    hello(["Ada", "Grace"])
