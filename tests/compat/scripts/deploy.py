"""Deploy a flow from a local folder to a process work pool, with a schedule."""

import json
import sys
from pathlib import Path

from prefect import flow

folder = Path(sys.argv[1])
(folder / "code.py").write_text(
    "from prefect import flow\n\n@flow(name='pooled', log_prints=True)\ndef pooled(n: int = 1):\n    print('n is', n)\n    return n\n"
)
found = flow.from_source(source=str(folder), entrypoint="code.py:pooled")
made = found.deploy(
    name="by-pool", work_pool_name="mill", cron="0 6 * * *", build=False, push=False, parameters={"n": 3}, concurrency_limit=2, print_next_steps=False
)
print(json.dumps({"id": str(made)}))
