"""How fast one idle process worker starts runs: `python tests/benchmarks/dispatch.py`. Prints one line of JSON.

`start_seconds`: from `create_flow_run` to Running, the median of several runs one after another; `twenty_seconds`: until 20 runs that were
created at once have ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SINGLE_RUNS = 7
RUNS_AT_ONCE = 20
FLOW = "from headrace import flow\n\n@flow\ndef nothing():\n    pass\n"


async def measure(url: str, folder: Path) -> dict[str, float]:
    """Measure against a server."""
    from headrace.client.orchestration import get_client
    from headrace.model.work_pools import WorkPoolCreate
    from headrace.workers import ProcessWorker

    (folder / "nothing.py").write_text(FLOW)
    async with get_client() as client:
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name="pool", type="process", base_job_template=template))
        flow = await client.create_flow_from_name("nothing")
        deployment = await client.create_deployment(flow_id=flow, name="d", work_pool_name="pool", entrypoint="nothing.py:nothing", path=str(folder))

        async def ended(runs: list[Any]) -> list[Any]:
            while True:
                found = [await client.read_flow_run(run.id) for run in runs]
                if all(run.state is not None and run.state.is_final() for run in found):
                    return found
                await asyncio.sleep(0.02)

        command = [sys.executable, "-m", "headrace", "worker", "start", "--pool", "pool"]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "HEADRACE_LOGGING_LEVEL": "WARNING"})
        assert worker.stdout is not None
        await asyncio.to_thread(worker.stdout.readline)
        await asyncio.sleep(2)  # it is idle, and its warm process ready
        try:
            starts: list[float] = []
            for _ in range(SINGLE_RUNS):
                (run,) = await ended([await client.create_flow_run_from_deployment(deployment)])
                starts.append((run.start_time - run.created).total_seconds())
                await asyncio.sleep(0.5)
            began = time.monotonic()
            await ended([await client.create_flow_run_from_deployment(deployment) for _ in range(RUNS_AT_ONCE)])
            return {"start_seconds": statistics.median(starts), "twenty_seconds": time.monotonic() - began}
        finally:
            worker.terminate()
            await asyncio.to_thread(worker.wait)


def main() -> None:
    """Start a server, measure, print."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEADRACE_HOME"] = home
        from headrace.settings import temporary_settings
        from headrace.testing.server import server_process

        with server_process() as server, temporary_settings({"HEADRACE_API_URL": server.url}):
            os.environ["HEADRACE_API_URL"] = server.url
            print(json.dumps(asyncio.run(measure(server.url, Path(home)))))


if __name__ == "__main__":
    main()
