"""Send some 20,000 odd requests to a server with a home of its own: none may be answered with an internal error. `nox -s fuzz` runs it.

    python run.py SCHEMATHESIS [options of `schemathesis run`]

The requests are made by Schemathesis from the server's own OpenAPI document, for every route.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from headrace.testing.server import server_process

DEFAULTS = ["--checks", "not_a_server_error", "--max-examples", "30", "--phases", "coverage,fuzzing,stateful", "--warnings", "off"]


def main(program: str, *options: str) -> int:
    """Return the exit status of Schemathesis."""
    with tempfile.TemporaryDirectory(prefix="headrace-fuzz-") as home:
        os.environ["HEADRACE_HOME"] = home
        with server_process() as server:
            return subprocess.run([program, "run", f"{server.url}/openapi.json", *(options or DEFAULTS)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
