"""Resume a paused run, with input if it is given."""

import json
import sys

from prefect.client.orchestration import get_client

with get_client(sync_client=True) as client:
    given = json.loads(sys.argv[2]) if len(sys.argv) > 2 else None
    answer = client.resume_flow_run(sys.argv[1], run_input=given)
print(json.dumps({"status": answer.status.value, "reason": getattr(answer.details, "reason", None)}))
