"""Plugins: a block from another distribution (`pip install headrace-shell`), found without registering anything."""

from headrace import flow
from headrace_shell import ShellOperation


@flow(log_prints=True)
def count_lines() -> int:
    """Write a few lines in a shell and count them."""
    with ShellOperation(commands=["for word in one two three; do echo $word; done"]) as operation:
        process = operation.trigger()
        process.wait_for_completion()
        lines = process.fetch_result()
    print(f"{len(lines)} lines: {' '.join(lines)}")
    return len(lines)


if __name__ == "__main__":
    count_lines()
