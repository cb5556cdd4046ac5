"""Send some 20,000 odd requests to a server with a home of its own: none may be answered with an internal error. `nox -s fuzz` runs it.

    python run.py SCHEMATHESIS [--database URL] [options of `schemathesis run`]

The requests are made by Schemathesis from the server's own OpenAPI document, for every route; `seeds` and `hooks` see to it that many of
them are about objects that are there. The database is an SQLite file unless `--database` names an empty one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

from seeds import seeded

from headrace.testing.server import server_process

DEFAULTS = ["--checks", "not_a_server_error", "--max-examples", "60", "--phases", "examples,coverage,fuzzing,stateful", "--warnings", "off"]


def main(program: str, *options: str) -> int:
    """Return the exit status of Schemathesis."""
    if options[:1] == ("--database",):
        os.environ["HEADRACE_SERVER_DATABASE_CONNECTION_URL"], options = options[1], options[2:]
    with tempfile.TemporaryDirectory(prefix="headrace-fuzz-") as home:
        os.environ["HEADRACE_HOME"] = home
        with server_process() as server:
            urlopen(f"{server.url}/openapi.json", timeout=60).close()  # made at the first request, for which Schemathesis has less patience
            seeds = Path(home, "seeds.json")
            seeds.write_text(json.dumps(seeded(server.url)))
            environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(Path(__file__).parent), "HEADRACE_FUZZ_SEEDS": str(seeds)}
            words = [program, "run", f"{server.url}/openapi.json", *(options or DEFAULTS)]
            return subprocess.run(words, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
