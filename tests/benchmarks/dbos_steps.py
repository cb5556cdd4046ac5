"""A thousand no-op steps of `dbos` on SQLite. Prints one line of JSON."""

from __future__ import annotations

import json
import sys
import time

from dbos import DBOS

DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{sys.argv[1]}/dbos.sqlite", "run_admin_server": False, "log_level": "ERROR"})


@DBOS.step()
def step():
    return None


@DBOS.workflow()
def workflow(count):
    for _ in range(count):
        step()


DBOS.launch()
workflow(10)
began = time.perf_counter()
workflow(int(sys.argv[2]))
print(json.dumps({"count": int(sys.argv[2]), "seconds": time.perf_counter() - began}))
DBOS.destroy()
