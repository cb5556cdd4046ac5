"""Secret Manager: `GcpSecret`, and tasks. Values are in no log and no message."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from headrace import get_run_logger, task
from headrace.blocks.abstract import SecretBlock
from headrace.utilities.asyncutils import twins
from headrace_gcp.credentials import GcpCredentials, logging_in
from headrace_gcp.settings import GcpSettings
from headrace_gcp.tasks import waiting

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

LATEST = "latest"


class GcpSecret(SecretBlock):
    """A secret in Google Cloud's Secret Manager."""

    _block_type_name: ClassVar[str | None] = "GcpSecret"

    gcp_credentials: GcpCredentials = Field(description="Credentials to use for authentication with GCP.")
    secret_name: str = Field(description="Name of the secret to manage.", min_length=1)
    secret_version: str = Field(default=LATEST, description="Version number of the secret to use, or 'latest'.")

    def read_secret(self) -> bytes:
        """Return the value of the version. Raises `ValueError` when what came is not what was stored, and the SDK's `NotFound`."""
        with _client(self.gcp_credentials, self.secret_name) as client:
            return _read(client, f"{self._path}/versions/{self.secret_version}", _seconds())

    def write_secret(self, secret_data: bytes) -> str:
        """Add a version with this value and return its path; a secret that does not exist is created first."""
        from google.api_core.exceptions import NotFound

        with _client(self.gcp_credentials, self.secret_name) as client:
            try:
                path = _add(client, self._path, secret_data, _seconds())
            except NotFound:
                self.logger.info("The secret %r does not exist yet; creating it.", self.secret_name)
                _create(client, self.gcp_credentials.resolve_project(), self.secret_name, _seconds())
                path = _add(client, self._path, secret_data, _seconds())
        self.logger.info("The secret data was written to %s.", path)
        return path

    def delete_secret(self) -> str:
        """Delete the secret with all its versions and return the path that it had."""
        with _client(self.gcp_credentials, self.secret_name) as client:
            client.delete_secret(name=self._path, timeout=_seconds())
        self.logger.info("The secret %s was deleted.", self._path)
        return self._path

    read_secret, aread_secret = twins(read_secret)
    write_secret, awrite_secret = twins(write_secret)
    delete_secret, adelete_secret = twins(delete_secret)

    @property
    def _path(self) -> str:
        return f"projects/{self.gcp_credentials.resolve_project()}/secrets/{self.secret_name}"


# --- tasks


@task
def create_secret(secret_name: str, gcp_credentials: GcpCredentials, timeout: float = 60, project: str | None = None) -> str:
    """Create a secret without a value and return its path. Raises the SDK's `AlreadyExists`."""
    get_run_logger().info("Creating the secret %s.", secret_name)
    with _client(gcp_credentials, secret_name) as client:
        return _create(client, gcp_credentials.resolve_project(project), secret_name, timeout)


@task
def update_secret(
    secret_name: str, secret_value: str | bytes, gcp_credentials: GcpCredentials, timeout: float = 60, project: str | None = None
) -> str:
    """Add a version with this value to a secret and return the version's path."""
    get_run_logger().info("Updating the secret %s.", secret_name)
    data = secret_value.encode() if isinstance(secret_value, str) else secret_value
    with _client(gcp_credentials, secret_name) as client:
        return _add(client, f"projects/{gcp_credentials.resolve_project(project)}/secrets/{secret_name}", data, timeout)


@task
def read_secret(
    secret_name: str, gcp_credentials: GcpCredentials, version_id: str | int = LATEST, timeout: float = 60, project: str | None = None
) -> str:
    """Return the value of a version of a secret, as text."""
    get_run_logger().info("Reading %s version of the secret %s.", version_id, secret_name)
    with _client(gcp_credentials, secret_name) as client:
        path = f"projects/{gcp_credentials.resolve_project(project)}/secrets/{secret_name}/versions/{version_id}"
        return _read(client, path, timeout).decode()


@task
def delete_secret(secret_name: str, gcp_credentials: GcpCredentials, timeout: float = 60, project: str | None = None) -> str:
    """Delete a secret with all its versions and return the path that it had."""
    get_run_logger().info("Deleting the secret %s.", secret_name)
    path = f"projects/{gcp_credentials.resolve_project(project)}/secrets/{secret_name}"
    with _client(gcp_credentials, secret_name) as client:
        client.delete_secret(name=path, timeout=timeout)
    return path


@task
def delete_secret_version(secret_name: str, version_id: int, gcp_credentials: GcpCredentials, timeout: float = 60, project: str | None = None) -> str:
    """Destroy the value of a version, for good, and return the version's path. Raises `ValueError` for "latest", which could be any."""
    if str(version_id) == LATEST:
        raise ValueError("The version 'latest' cannot be deleted: name it by its number.")
    get_run_logger().info("Deleting version %s of the secret %s.", version_id, secret_name)
    path = f"projects/{gcp_credentials.resolve_project(project)}/secrets/{secret_name}/versions/{version_id}"
    with _client(gcp_credentials, secret_name) as client:
        client.destroy_secret_version(name=path, timeout=timeout)
    return path


acreate_secret = waiting(create_secret)
aupdate_secret = waiting(update_secret)
aread_secret = waiting(read_secret)
adelete_secret = waiting(delete_secret)
adelete_secret_version = waiting(delete_secret_version)


# --- how


@contextmanager
def _client(gcp_credentials: GcpCredentials, secret_name: str) -> Generator[SecretManagerServiceClient]:
    """Give a client; what Secret Manager says meanwhile comes with advice."""
    client = gcp_credentials.get_secret_manager_client()
    from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound

    try:
        with logging_in():
            yield client
    except GoogleAPICallError as error:
        if isinstance(error, NotFound):
            error.message = f"{error.message} Check the name {secret_name!r}, its version, and the project."
        elif isinstance(error, Forbidden):
            roles = "roles/secretmanager.secretAccessor to read, roles/secretmanager.admin to change"
            error.message = f"{error.message} Give {gcp_credentials.account} a role on {secret_name!r}: {roles}."
        raise
    finally:
        client.transport.close()


def _seconds() -> float:
    return GcpSettings().request_timeout_seconds


def _create(client: SecretManagerServiceClient, project: str, name: str, timeout: float) -> str:
    asked: dict[str, Any] = {"parent": f"projects/{project}", "secret_id": name, "secret": {"replication": {"automatic": {}}}}
    return client.create_secret(request=asked, timeout=timeout).name


def _add(client: SecretManagerServiceClient, path: str, data: bytes, timeout: float) -> str:
    payload = {"data": data, "data_crc32c": _checksum(data)}
    return client.add_secret_version(request={"parent": path, "payload": payload}, timeout=timeout).name


def _read(client: SecretManagerServiceClient, path: str, timeout: float) -> bytes:
    found = client.access_secret_version(name=path, timeout=timeout).payload
    if found.data_crc32c and found.data_crc32c != _checksum(found.data):
        raise ValueError(f"The value of {path} was damaged on the way: its checksum is another. Read it again.")
    return found.data


def _checksum(data: bytes) -> int:
    from google_crc32c import value

    return value(data)
