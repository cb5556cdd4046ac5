"""Objects that a server has before it is sent odd requests, so that these meet something: their ids and names by the word a path has for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

Seeds = dict[str, list[str]]
"""Values by first part of a path and name of a parameter ("flow_runs/id"), and by name of a field in a body ("flow_id")."""

EACH = 12


def seeded(url: str) -> Seeds:
    """Make a dozen of everything; return what they are called."""
    with httpx.Client(base_url=url, timeout=60) as http:

        def made(path: str, body: Any) -> dict[str, Any]:
            answer = http.post(path, json=body)
            answer.raise_for_status()
            return answer.json() if answer.content else {}

        numbers = count()
        found: Seeds = {}
        for _ in range(EACH):
            for name, value in _one_of_each(made, next(numbers)):
                found.setdefault(name, []).append(value)
        for kind in http.post("/block_types/filter", json={"limit": EACH}).json():
            found.setdefault("block_types/id", []).append(kind["id"])
            found.setdefault("block_types/slug", []).append(kind["slug"])
        for schema in http.post("/block_schemas/filter", json={"limit": EACH}).json():
            found.setdefault("block_schemas/id", []).append(schema["id"])
            found.setdefault("block_schemas/checksum", []).append(schema["checksum"])
    for field, source in _FIELDS.items():
        found[field] = found[source]
    return found


_FIELDS = {
    "flow_id": "flows/id",
    "flow_run_id": "flow_runs/id",
    "task_run_id": "task_runs/id",
    "parent_task_run_id": "task_runs/id",
    "deployment_id": "deployments/id",
    "work_queue_id": "work_queues/id",
    "work_pool_name": "work_pools/name",
    "block_type_id": "block_types/id",
    "block_schema_id": "block_schemas/id",
    "block_document_id": "block_documents/id",
    "lease_id": "v2/lease_id",
}


def _one_of_each(made: Callable[[str, Any], dict[str, Any]], number: int) -> list[tuple[str, str]]:
    name = f"seed-{number}"
    now = datetime.now(UTC).isoformat()
    flow = made("/flows/", {"name": name, "tags": ["seed"]})["id"]
    made("/work_pools/", {"name": name, "type": "process", "base_job_template": {}})
    queue = made(f"/work_pools/{name}/queues", {"name": name, "priority": number + 1})["id"]
    made(f"/work_pools/{name}/workers/heartbeat", {"name": name})
    every = {"schedule": {"interval": 3600}, "active": True, "slug": name}
    about = {"name": name, "flow_id": flow, "work_pool_name": name, "work_queue_name": name, "schedules": [every], "concurrency_limit": 2}
    deployment = made("/deployments/", {**about, "parameter_openapi_schema": {"type": "object", "properties": {"x": {"type": "integer"}}}})
    made(f"/deployments/{deployment['id']}/schedule", {})
    made(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": {"x": number}})
    states = ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLING", "PAUSED"]
    run = made("/flow_runs/", {"flow_id": flow, "deployment_id": deployment["id"], "state": {"type": states[number % len(states)]}})
    task = made("/task_runs/", {"flow_run_id": run["id"], "task_key": name, "dynamic_key": "0", "state": {"type": "RUNNING"}, "tags": ["seed"]})
    made(f"/flow_runs/{run['id']}/input", {"key": name, "value": "1"})
    made("/logs/", [{"name": name, "level": 20, "message": name, "timestamp": now, "flow_run_id": run["id"], "task_run_id": task["id"]}])
    event = {"id": str(uuid4()), "occurred": now, "event": "seed.sown", "resource": {"prefect.resource.id": f"prefect.flow-run.{run['id']}"}}
    made("/events", [event])
    artifact = made("/artifacts/", {"key": name, "type": "table", "data": "[]", "flow_run_id": run["id"], "task_run_id": task["id"]})["id"]
    variable = made("/variables/", {"name": f"seed_{number}", "value": {"x": number}})["id"]
    limit = made("/v2/concurrency_limits/", {"name": name, "limit": 5, "slot_decay_per_second": number % 2})["id"]
    leased = made("/v2/concurrency_limits/increment-with-lease", {"slots": 1, "names": [name], "mode": "concurrency", "lease_duration": 3600})
    tagged = made("/concurrency_limits/", {"tag": name, "concurrency_limit": 2})["id"]
    trigger = {"type": "event", "posture": "Reactive", "expect": ["seed.sown"], "threshold": 1, "within": 0}
    automation = made("/automations/", {"name": name, "trigger": trigger, "actions": [{"type": "do-nothing"}]})["id"]
    kind = made("/block_types/", {"name": name, "slug": name})["id"]
    fields = {"type": "object", "title": name, "properties": {"x": {"type": "string"}}, "secret_fields": ["x"]}
    schema = made("/block_schemas/", {"block_type_id": kind, "fields": fields, "capabilities": [name]})["id"]
    block = made("/block_documents/", {"name": name, "data": {"x": "y"}, "block_type_id": kind, "block_schema_id": schema})["id"]
    return [
        ("flows/id", flow), ("flows/name", name), ("work_pools/name", name), ("work_pools/work_pool_name", name), ("work_queues/id", queue),
        ("work_queues/name", name), ("deployments/id", deployment["id"]), ("deployments/flow_name", name), ("deployments/deployment_name", name),
        ("flow_runs/id", run["id"]), ("flow_runs/key", name), ("flow_run_states/id", run["state_id"]), ("task_runs/id", task["id"]),
        ("task_run_states/id", task["state_id"]), ("ui/id", task["id"]), ("artifacts/id", artifact), ("artifacts/key", name),
        ("variables/id", variable), ("variables/name", f"seed_{number}"), ("v2/id_or_name", limit), ("v2/id_or_name", name),
        ("v2/lease_id", leased["lease_id"]), ("concurrency_limits/id", tagged), ("concurrency_limits/tag", name), ("automations/id", automation),
        ("automations/resource_id", f"prefect.deployment.{deployment['id']}"), ("block_documents/id", block),
        ("block_types/block_document_name", name), ("block_types/id", kind), ("block_types/slug", name), ("block_schemas/id", schema),
        ("deployments/schedule_id", deployment["schedules"][0]["id"]), ("state_id", run["state_id"]),
    ]  # fmt: skip
