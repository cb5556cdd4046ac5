"""Projects in the test's folder, and the command line that deploys them."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from headrace.cli.root import run
from headrace.client.orchestration import get_client
from headrace.model.deployments import Deployment
from headrace.model.work_pools import WorkPoolCreate

FLOWS = '''
from headrace import flow

@flow
def etl(n: int = 1, label: str = "x"):
    """Load."""

@flow(name="other-name")
def second(day: str):
    pass

def plain():
    pass
'''

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}", "image": "{{ image }}", "stream": "{{ stream_output }}"},
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "image": {"type": "string"},
            "stream_output": {"type": "boolean", "default": True},
        },
    },
}


class Done(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


def headrace(*arguments: str) -> Done:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    return Done(code, out.getvalue(), err.getvalue())


def make_pool(name: str = "local") -> None:
    """Make a work pool."""
    get_client(sync_client=True).create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=TEMPLATE))


def write_flows() -> None:
    """Write the flows that the tests deploy."""
    Path("flows.py").write_text(FLOWS)


def write_project(text: str, name: str = "headrace.yaml") -> None:
    """Write a project file."""
    Path(name).write_text(text)


def deployed() -> dict[str, Deployment]:
    """Return the deployments that there are, by name."""
    return {one.name: one for one in get_client(sync_client=True).read_deployments()}
