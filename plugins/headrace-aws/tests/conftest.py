"""Each test has a home and a working directory of its own; each process of tests an AWS made by moto, and one made by ministack that runs tasks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer

from headrace.testing.containers import DockerEngine
from headrace.testing.server import free_port
from headrace.testing.services import docker_engine
from headrace.testing.starting import wait_for
from headrace.testing.utilities import headrace_test_harness
from headrace_aws import AwsCredentials
from headrace_aws.client_parameters import AwsClientParameters

__all__ = ["docker_engine"]

REGION = "us-east-1"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    # Nothing of this machine's own account is used by mistake, and no test waits for an instance's metadata.
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    with headrace_test_harness():
        yield


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Give the address of a server that answers as AWS does."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(moto: str) -> AwsCredentials:
    """Give credentials for that server."""
    return credentials_for(moto)


def credentials_for(endpoint: str, **values: object) -> AwsCredentials:
    """Return credentials for a server at an address of this machine."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing-secret", "region_name": REGION}
    parameters = AwsClientParameters(endpoint_url=endpoint, config={"s3": {"addressing_style": "path"}})
    return AwsCredentials(**{**keys, "aws_client_parameters": parameters, **values})


@pytest.fixture
def make_bucket(credentials: AwsCredentials) -> Callable[[], str]:
    """Make a new, empty bucket, and return its name."""

    def make() -> str:
        name = f"bucket-{uuid4().hex}"
        credentials.get_s3_client().create_bucket(Bucket=name)
        return name

    return make


@pytest.fixture(scope="session")
def ministack(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a server that answers as AWS does and runs ECS tasks and Lambda functions on the Docker engine."""
    folder, port = tmp_path_factory.mktemp("ministack"), free_port()
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "DOCKER_HOST": docker_engine.address,
        "DOCKER_NETWORK": "host",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",  # it would listen for all the world, on a port of its own choice
    }
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "ministack"], env=environment, cwd=folder, stdout=out, stderr=out)
    try:
        wait_for(lambda: _is_up(f"http://127.0.0.1:{port}/_ministack/health"), process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_up(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, ConnectionError):
        return False


@pytest.fixture
def in_environment(ministack: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the environment lead to that server, as it leads a worker to AWS; return its address."""
    for name, value in environment_for(ministack).items():
        monkeypatch.setenv(name, value)
    return ministack


def environment_for(endpoint: str) -> dict[str, str]:
    """Return variables that lead boto3 to a server."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": REGION,
    }
