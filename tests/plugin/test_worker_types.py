"""What a plugin's worker says of itself in the catalogue of worker types."""

from __future__ import annotations

import json

OFFERS = """
from headrace.plugin import Offer, hookimpl

@hookimpl
def headrace_workers():
    return [
        Offer("balloon", "{package}.workers:BalloonWorker", "Runs flows in balloons"),
        Offer("vertex-ai", "{package}.workers:BalloonWorker", "Another view of it"),
        Offer("mute", "{package}.workers:MuteWorker", "Says nothing"),
    ]
"""
WORKERS = '''
class BaseWorker:
    """Stands for headrace's own class that workers descend from."""

    __module__ = "headrace.workers.base"

class BalloonWorker(BaseWorker):
    @classmethod
    def get_default_base_job_template(cls):
        return {"job_configuration": {"height": "{{ height }}"}, "variables": {"properties": {"height": {"type": "integer"}}}}

    @classmethod
    def get_logo_url(cls):
        return "https://example.com/balloon.png"

class MuteWorker(BaseWorker):
    pass
'''
SHOW = """
import json
from headrace.operations.pools.collections import worker_types
print(json.dumps(worker_types()))
"""


def test_an_installed_worker_describes_itself(site, python):
    site.install("dummy-air", OFFERS, files={"workers.py": WORKERS})
    answer = python(SHOW)
    types = json.loads(answer.stdout)
    balloon = types["dummy-air"]["balloon"]
    assert balloon["default_base_job_configuration"]["job_configuration"] == {"height": "{{ height }}"}
    assert balloon["logo_url"] == "https://example.com/balloon.png"
    assert (balloon["description"], balloon["install_command"]) == ("Runs flows in balloons", "pip install dummy-air")
    assert types["dummy-air"].keys() == {"balloon", "vertex-ai"}  # one place for each type: the installed one
    assert "vertex-ai" not in types.get("headrace-gcp", {})
    assert "The worker type mute could not describe itself: AttributeError" in answer.stderr
