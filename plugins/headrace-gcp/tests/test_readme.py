"""The examples of the README, run as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from headrace_gcp import GcpCredentials, GcsBucket

from .google_apis import serving
from .secret_server import SecretManager

README = Path(__file__).parents[1] / "README.md"


def flow_of(name: str) -> Any:
    """Return a flow that the README shows."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    code = next(block for block in blocks if f"def {name}(" in block)
    found: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), found)  # noqa: S102  # this project's own text
    return found[name]


def test_the_example_with_a_bucket(storage: str, credentials: GcpCredentials):
    credentials.save("my-login")
    GcsBucket(bucket="my-bucket", gcp_credentials=credentials).create_bucket()
    assert flow_of("cloud_storage_flow")() == "Hello!"


def test_the_example_with_bigquery(bigquery: str, credentials: GcpCredentials):
    credentials.save("my-login")
    credentials.get_bigquery_client().create_dataset("test_example", exists_ok=True)
    rows = flow_of("bigquery_flow")()
    assert sorted(row.name for row in rows) == ["Ford", "Marvin"]


def test_the_example_with_a_secret(credentials: GcpCredentials, monkeypatch: pytest.MonkeyPatch):
    credentials.save("my-login")
    with serving(SecretManager()) as secrets:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"secretmanager": secrets.url}))
        assert flow_of("secret_manager_flow")() == b"Hello!"
