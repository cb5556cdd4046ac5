"""Each test has a home and a working directory of its own; the session has a Snowflake."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from headrace.testing.utilities import headrace_test_harness
from headrace_snowflake import SnowflakeConnector, SnowflakeCredentials

PASSWORD = "paranoid-android"
START_SECONDS_MAX = 120


@dataclass(frozen=True)
class Server:
    """A Snowflake that runs here: its port, that with TLS, and the certificate to trust."""

    port: int
    tls_port: int
    certificate: Path

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body)
        text = connection.getresponse().read()
        connection.close()
        return json.loads(text) if text else None

    def told(self) -> dict[str, Any]:
        """Return what has happened: logins, statements, queries, sessions."""
        return self.ask("GET", "/told")

    def status_of(self, statement: str) -> str | None:
        """Return the status of the last query with this text."""
        return self.told()["queries"].get(statement)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with headrace_test_harness():
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("snowflake")
    _certify(folder)
    program = Path(__file__).with_name("snowflake_server.py")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n", (folder / "log").read_text()
            yield Server(int((folder / "port").read_text()), int((folder / "tls-port").read_text()), folder / "certificate.pem")
        finally:
            process.stdin.close()
            process.stdout.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _certify(folder: Path) -> None:
    """Write a key, and a certificate for 127.0.0.1 that signs itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


@pytest.fixture
def credentials(server: Server) -> Callable[..., SnowflakeCredentials]:
    """Make credentials for the server; without arguments those of a user with a password."""

    def make(**values: Any) -> SnowflakeCredentials:
        values = values or {"password": PASSWORD}
        place = {"account": "guide", "user": "marvin", "host": "127.0.0.1", "port": server.port, "protocol": "http", "login_timeout_seconds": 30}
        return SnowflakeCredentials(**{**place, **values})

    return make


@pytest.fixture
def connector(credentials: Callable[..., SnowflakeCredentials]) -> Iterator[SnowflakeConnector]:
    """Give a connector to an empty database of the test's own."""
    made = SnowflakeConnector(credentials=credentials(), database=f"db_{uuid4().hex}", warehouse="compute_wh", schema="public")
    yield made
    made.close()
