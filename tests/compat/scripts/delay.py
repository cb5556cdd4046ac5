"""Give a background task to a worker and wait for its result."""

import json

from background import grind

future = grind.delay(21)
print(json.dumps({"id": str(future.task_run_id), "result": future.result(timeout=90)}))
