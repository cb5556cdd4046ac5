"""The catalogue of worker types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.model.endpoints.work_pools import CREATE_WORK_POOL
from headrace.model.endpoints.workers import READ_COLLECTION_VIEW
from headrace.model.errors import ObjectNotFound
from headrace.model.job_templates import placeholders, properties
from headrace.model.work_pools import WorkPoolCreate

TYPES = {"process", "docker", "kubernetes", "ecs", "cloud-run", "cloud-run-v2", "vertex-ai", "azure-container-instance"}


def test_a_pool_can_be_made_of_each_known_type(call: Callable[..., Any]) -> None:
    view = call(READ_COLLECTION_VIEW, view="aggregate-worker-metadata")
    known = {name: kind for types in view.values() for name, kind in types.items()}
    assert known.keys() >= TYPES
    for name, kind in known.items():
        template = kind["default_base_job_configuration"]
        pool = call(CREATE_WORK_POOL, WorkPoolCreate(name=name, type=name, base_job_template=template))
        assert pool.base_job_template == template
        assert placeholders(template["job_configuration"]) == set(properties(template)), name
        assert kind["type"] == name
        assert kind["install_command"].startswith("pip install ")


def test_an_unknown_view_is_not_found(call: Callable[..., Any]) -> None:
    with pytest.raises(ObjectNotFound, match="View none not found in registry"):
        call(READ_COLLECTION_VIEW, view="none")
