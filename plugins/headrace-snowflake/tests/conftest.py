"""Each test has a home and a working directory of its own; the session has a Snowflake."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import os
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
SERVER_PYTHON = "SNOWFLAKE_SERVER_PYTHON"
"""The variable that names another interpreter for the server, which cannot live beside version 5 of the connector."""


@dataclass(frozen=True)
class Server:
    """A Snowflake that runs here: its port, that with TLS, and the certificate of the authority to trust."""

    port: int
    tls_port: int
    authority: Path

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
        python = os.environ.get(SERVER_PYTHON, sys.executable)
        process = subprocess.Popen([python, program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n", (folder / "log").read_text()
            yield Server(int((folder / "port").read_text()), int((folder / "tls-port").read_text()), folder / "authority.pem")
        finally:
            process.stdin.close()
            process.stdout.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _certify(folder: Path) -> None:
    """Write a key and a certificate for 127.0.0.1, and the certificate of the authority that signed it."""
    authority_key, authority = _certificate("authority of these tests")
    key, certificate = _certificate("127.0.0.1", authority_key, authority)
    (folder / "authority.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def _certificate(
    name: str, signer: rsa.RSAPrivateKey | None = None, issuer: x509.Certificate | None = None
) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
    return key, builder.sign(signer or key, hashes.SHA256())


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
