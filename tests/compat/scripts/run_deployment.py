"""Run a deployment and wait for its end."""

import json
import sys

from prefect.deployments import run_deployment

run = run_deployment(sys.argv[1], parameters=json.loads(sys.argv[2]) if len(sys.argv) > 2 else None, timeout=90, poll_interval=1)
print(json.dumps({"id": str(run.id), "state": run.state.name}))
