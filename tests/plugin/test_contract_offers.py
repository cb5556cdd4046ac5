"""What the contract finds wrong with the workers, steps and bundles of a plugin."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.testing import PluginContract

PLUGIN = '''"""Offers."""
from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

@hookimpl
def headrace_workers():
    """Offer workers."""
    return [Offer("hoist", "{package}.workers:HoistWorker", "Runs flows on hoists")]

@hookimpl
def headrace_deployment_steps():
    """Offer steps."""
    return [Offer("{package}.steps.push_to_hoist", "{package}.steps:push_to_hoist", "Push to a hoist")]
'''
WORKERS = '''"""Workers."""
from pydantic import Field
from headrace.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

class HoistConfiguration(BaseJobConfiguration):
    """A hoist."""
    height: int = Field(default=1, description="How high.")
    rope: str = Field(description="Which rope.")

class HoistVariables(BaseVariables):
    """A hoist."""
    height: int = Field(default=1, description="How high.")
    rope: str = Field(description="Which rope.")

class HoistWorker(BaseWorker):
    """Hoists."""
    type = "hoist"
    job_configuration = HoistConfiguration
    job_configuration_variables = HoistVariables
    _description = "Runs flows on hoists."

    async def run(self, flow_run, configuration, task_status=None):
        """Run."""
        return BaseWorkerResult(identifier="1", status_code=0)

    async def kill_infrastructure(self, infrastructure_pid, configuration, grace_seconds=30):
        """Stop."""
'''
STEPS = '''"""Steps."""

def push_to_hoist(folder: str) -> dict:
    """Push."""
    return {"folder": folder}
'''
BUNDLE = '''"""A command."""
import argparse

def main() -> None:
    """Be one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", required=True)
    parser.parse_args()

if __name__ == "__main__":
    main()
'''


class Contract(PluginContract):
    plugin = "dummy-hoist"
    job_variables = {"hoist": {"rope": "hemp"}}


@pytest.fixture
def contract(site: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], Contract]:
    """Install a plugin that is as the contract wants it, with one text in one file replaced."""
    monkeypatch.setenv("PYTHONPATH", str(site.folder))

    def make(file: str = "", old: str = "", new: str = "") -> Contract:
        files = {"workers.py": WORKERS, "steps.py": STEPS, "bundles/__init__.py": '"""Bundles."""\n', "__init__.py": '"""A dummy."""\n'}
        files |= {"bundles/upload.py": BUNDLE, "bundles/execute.py": BUNDLE}
        if file:
            assert old in files[file]
            files[file] = files[file].replace(old, new)
        (Path(site.folder) / "dummy_hoist" / "bundles").mkdir(parents=True)
        site.install("dummy-hoist", PLUGIN, files=files)
        return Contract()

    return make


CHECKS = [
    "test_offers_resolve",
    "test_workers_say_what_they_are",
    "test_variables_of_workers_do_something",
    "test_workers_make_configurations_that_show_no_secret",
    "test_steps_can_be_named_and_called",
    "test_bundles_are_kept_and_run_by_commands",
]


def test_offers_in_order_pass(contract: Callable[..., Contract]) -> None:
    made = contract()
    for check in CHECKS:
        getattr(made, check)()


@pytest.mark.parametrize(
    ("file", "old", "new", "check", "advice"),
    [
        ("workers.py", 'type = "hoist"', 'type = "crane"', "test_workers_say_what_they_are", "by its type, 'crane'"),
        ("workers.py", '"Runs flows on hoists."', '""', "test_workers_say_what_they_are", "description"),
        ("workers.py", "async def kill_infrastructure", "async def kill", "test_workers_say_what_they_are", "cannot stop a run"),
        (
            "workers.py",
            'class HoistVariables(BaseVariables):\n    """A hoist."""\n',
            'class HoistVariables(BaseVariables):\n    """A hoist."""\n    colour: str = Field(default="red", description="Which.")\n',
            "test_variables_of_workers_do_something",
            "nothing uses.*colour",
        ),
        ("workers.py", 'Field(default=1, description="How high.")', "1", "test_variables_of_workers_do_something", "not describe.*height"),
        (
            "workers.py",
            '"Which rope.")',
            '"Which rope.")\n    knot: str',
            "test_workers_make_configurations_that_show_no_secret",
            "job_variables.*hoist",
        ),
        ("steps.py", '    """Push."""\n', "", "test_steps_can_be_named_and_called", "no docstring"),
        ("steps.py", "folder: str", "folder", "test_steps_can_be_named_and_called", "without annotations: .*folder"),
        ("bundles/upload.py", "--key", "--name", "test_bundles_are_kept_and_run_by_commands", "takes no --key"),
        ("bundles/execute.py", ", required=True", "", "test_bundles_are_kept_and_run_by_commands", "without arguments does not fail"),
    ],
)
def test_what_is_wrong_is_found(contract: Callable[..., Contract], file: str, old: str, new: str, check: str, advice: str) -> None:
    made = contract(file, old, new)
    with pytest.raises(AssertionError) as caught:
        getattr(made, check)()
    assert re.search(advice, str(caught.value), re.DOTALL)
