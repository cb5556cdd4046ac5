"""Each test has a home and a working directory of its own; each process of tests an AWS made by moto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer

from headrace.testing.utilities import headrace_test_harness
from headrace_aws import AwsCredentials
from headrace_aws.client_parameters import AwsClientParameters

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
