"""Flows that are bound to a pool for container instances."""

from __future__ import annotations

import pytest

from headrace import flow
from headrace_azure import azure_container_instance
from headrace_azure.experimental.decorators import azure_container_instance as older


def test_a_flow_is_bound_to_a_pool_with_its_variables() -> None:
    @azure_container_instance(work_pool="aci-pool", include_files=["data/"], memory=2.0)
    @flow
    def counts() -> int:
        return 3

    assert (counts.work_pool, counts.job_variables) == ("aci-pool", {"memory": 2.0})
    assert older is azure_container_instance


def test_blank_names_of_files_are_refused() -> None:
    with pytest.raises(ValueError, match="include_files"):
        azure_container_instance(work_pool="aci-pool", include_files=[" "])(flow(lambda: 3, name="three"))
