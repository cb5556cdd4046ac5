"""A task that another process runs. It needs a server: `headrace server start`, and HEADRACE_API_URL set to its address.

python background_tasks.py worker    # runs what is submitted, until Ctrl-C
python background_tasks.py ada grace # in another terminal: submits, and waits for the results
"""

import sys

from headrace import task


@task(retries=2, log_prints=True)
def write_letter(name: str) -> str:
    """Write to somebody."""
    print(f"writing to {name}")
    return f"Dear {name.capitalize()}"


if __name__ == "__main__":
    words = sys.argv[1:]
    if words == ["worker"]:
        write_letter.serve(limit=4)
    else:
        letters = [write_letter.delay(name) for name in words]  # returns at once
        print(" / ".join(letter.result(timeout=60) for letter in letters))
