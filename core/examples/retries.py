"""Retries: a task that fails for a while, with growing delays, and only for errors that may pass."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from headrace import flow, get_run_logger, task
from headrace.runtime import task_run
from headrace.tasks import exponential_backoff


def may_pass(task: Any, run: Any, state: Any) -> bool:
    """Try again when the file is not there yet; any other error is final."""
    return isinstance(state.result(raise_on_failure=False), FileNotFoundError)


@task(retries=4, retry_delay_seconds=exponential_backoff(backoff_factor=0.05), retry_jitter_factor=0.5, retry_condition_fn=may_pass)
def read_when_ready(path: Path) -> str:
    if task_run.run_count == 3:
        path.write_text("ready at last")  # what another program would do meanwhile
    return path.read_text()


@flow
def wait_for_file(path: Path) -> str:
    """Read a file that is not there at first."""
    text = read_when_ready(path)
    get_run_logger().info("Read: %s", text)
    return text


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        wait_for_file(Path(folder) / "report.txt")
