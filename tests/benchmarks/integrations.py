"""What plugins cost beside the packages that they stand on: imports, S3 against plain boto3, a dbt build against plain dbt.

The work itself stands with each plugin, in `plugins/headrace-*/tests/benchmark.py`, and runs in an environment with that plugin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from programs import HERE, REPEATS, Program, Row, milliseconds

BENCHMARK = "benchmark.py"
"""What a plugin's program is called, in the folder of its tests. It prints a JSON list of {work, ours, plain} as its last line, in seconds."""


def imports(aws: Program) -> Iterator[Row]:
    question = "import time\nbegan = time.process_time()\nimport headrace_aws\nprint(time.process_time() - began)"
    aws.run(str(aws.python), "-c", question)
    mine = min(float(aws.run(str(aws.python), "-c", question)[0]) for _ in range(REPEATS))
    yield Row("import of headrace_aws, CPU", "", milliseconds(mine), "", "≤ 30 ms", mine <= 0.030)


def object_store(aws: Program) -> Iterator[Row]:
    yield from _against_plain(aws, "headrace-aws", "boto3", 1.3)


def dbt_build(dbt: Program) -> Iterator[Row]:
    yield from _against_plain(dbt, "headrace-dbt", "dbt", 1.15)


def _against_plain(program: Program, plugin: str, package: str, bar: float) -> Iterator[Row]:
    script = HERE.parents[1] / "plugins" / plugin / "tests" / BENCHMARK
    out, _, _ = program.run(str(program.python), str(script), timeout=1800)
    for measured in json.loads(out.strip().splitlines()[-1]):
        ratio = measured["ours"] / measured["plain"]
        plain, ours = (f"{measured[key]:.2f} s" for key in ("plain", "ours"))
        yield Row(f"{measured['work']}, against {package}", plain, ours, f"{ratio:.2f} of it", f"≤ {bar}", ratio <= bar)
