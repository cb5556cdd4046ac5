"""How to log in to Google Cloud, and clients of its services. Each client's SDK is imported when the client is asked for."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from pydantic import Field, PrivateAttr, field_validator, model_validator

from headrace.blocks.abstract import CredentialsBlock
from headrace.blocks.credentials import Live, hidden
from headrace.blocks.fields import SecretDict
from headrace_gcp.settings import GcpSettings

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.aiplatform_v1 import JobServiceAsyncClient, JobServiceClient
    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from google.cloud.storage import Client as StorageClient

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""What tokens are good for: everything that the account may do."""


class ClientType(Enum):
    """The clients that `GcpCredentials.get_client` makes."""

    CLOUD_STORAGE = "cloud_storage"
    BIGQUERY = "bigquery"
    SECRET_MANAGER = "secret_manager"
    AIPLATFORM = "job_service"


class GcpCredentials(CredentialsBlock):
    """Logs in to Google Cloud: with a service account's key, as a file or as its content, or with the Application Default Credentials.

    Files and contents may also be of other kinds that Google makes: logins of users, workload identity federation, impersonation of a service
    account. Without either, Google's rules find credentials: GOOGLE_APPLICATION_CREDENTIALS, those of `gcloud auth application-default login`,
    those of the machine that this runs on.
    """

    _block_type_name: ClassVar[str | None] = "GCP Credentials"

    service_account_file: Path | None = Field(
        default=None, description="Path to the contents of the keyfile: a file that is there wherever the block is used."
    )
    service_account_info: SecretDict | None = Field(default=None, description="The contents of the keyfile as a dict, or as JSON.")
    project: str | None = Field(default=None, description="The project to use; default: that of the key, or of the environment.")

    _found: Live[tuple[Any, str | None]] = PrivateAttr(default_factory=Live)

    @field_validator("service_account_file")
    @classmethod
    def _is_a_file(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        found = value.expanduser()
        if not found.is_file():
            raise ValueError(f"There is no file {str(found)!r}. Give the path of a service account's key, or its content as service_account_info.")
        return found

    @field_validator("service_account_info", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if not isinstance(value, str | bytes):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("service_account_info is no JSON. Give what the key's file holds.") from None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.service_account_file is not None and self.service_account_info is not None:
            raise ValueError("Only one of service_account_info or service_account_file can be given, and both are.")
        if self.project is None:
            object.__setattr__(self, "project", _project_of(self._info()))
        return self

    # --- who one is

    def get_credentials_from_service_account(self) -> Credentials:
        """Return Google's credentials, not yet refreshed. Raises `ValueError` for a key that is none, and when there are no credentials."""
        return self._found.get(self._find)[0]

    def get_access_token(self) -> str:
        """Return a fresh access token for REST requests. Raises google.auth's `RefreshError` when Google refuses the credentials."""
        from headrace_gcp.sessions import LimitedRequest

        credentials = self.get_credentials_from_service_account()
        with logging_in():
            credentials.refresh(LimitedRequest(GcpSettings().request_timeout_seconds))
        return str(credentials.token)

    @property
    def account(self) -> str:
        """Whom these credentials are for, for messages."""
        is_given = self.service_account_info is not None or self.service_account_file is not None
        return self.service_account or ("the login of these credentials" if is_given else "the application default credentials")

    @property
    def service_account(self) -> str | None:
        """The address of the service account that these credentials are for, as far as they tell."""
        found = getattr(self.get_credentials_from_service_account(), "service_account_email", None)
        return str(found) if found and "@" in str(found) else None

    def resolve_project(self, project: str | None = None) -> str:
        """Return the project: the one given, the block's, or that of the environment. Raises `ValueError` when there is none."""
        found = project or self.project or self._found.get(self._find)[1] or self._federated_project()
        if not found:
            raise ValueError("No project is known. Set `project` on the GcpCredentials block, or the variable GOOGLE_CLOUD_PROJECT.")
        return found

    # --- clients

    def get_client(self, client_type: str | ClientType, **get_client_kwargs: Any) -> Any:
        """Return a client by its type; the further arguments are those of its own method. Raises `ValueError` for an unknown type."""
        kind = ClientType(client_type)
        return getattr(self, f"get_{kind.value}_client")(**get_client_kwargs)

    def get_cloud_storage_client(self, project: str | None = None) -> StorageClient:
        """Return a client of Cloud Storage. `project` goes before the block's."""
        with needing("cloud_storage"):
            from google.cloud.storage import Client

        return Client(project=self.resolve_project(project), client_options=_options("storage"), **self._session())

    def get_bigquery_client(self, project: str | None = None, location: str | None = None) -> BigQueryClient:
        """Return a client of BigQuery. `project` goes before the block's; `location`: where jobs run and data sets are made."""
        with needing("bigquery"):
            from google.cloud.bigquery import Client

        return Client(project=self.resolve_project(project), location=location, client_options=_options("bigquery"), **self._session())

    def get_secret_manager_client(self) -> SecretManagerServiceClient:
        """Return a client of Secret Manager."""
        with needing("secret_manager"):
            from google.cloud.secretmanager_v1 import SecretManagerServiceClient
            from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceRestTransport

        return SecretManagerServiceClient(transport=SecretManagerServiceRestTransport(**self._rest("secretmanager")))

    def get_job_service_client(self, client_options: Any = None) -> JobServiceClient:
        """Return a client of Vertex AI's job service. For a region: `{"api_endpoint": "us-central1-aiplatform.googleapis.com"}`."""
        with needing("aiplatform"):
            from google.cloud.aiplatform_v1 import JobServiceClient

        return JobServiceClient(credentials=self.get_credentials_from_service_account(), client_options=client_options)

    def get_job_service_async_client(self, client_options: Any = None) -> JobServiceAsyncClient:
        """Return the same client with methods to await."""
        with needing("aiplatform"):
            from google.cloud.aiplatform_v1 import JobServiceAsyncClient

        return JobServiceAsyncClient(credentials=self.get_credentials_from_service_account(), client_options=client_options)

    # --- how

    def _info(self) -> dict[str, Any] | None:
        if self.service_account_info is not None:
            return self.service_account_info.get_secret_value()
        if self.service_account_file is not None:
            try:
                return json.loads(self.service_account_file.read_text(encoding="utf-8"))
            except ValueError:
                raise ValueError(f"The file {str(self.service_account_file)!r} is no JSON. Give the path of a service account's key.") from None
        return None

    def _find(self) -> tuple[Credentials, str | None]:
        import google.auth
        from google.auth.exceptions import GoogleAuthError

        from headrace_gcp.logins import credentials_from

        info = self._info()
        try:
            found = google.auth.default(scopes=list(SCOPES)) if info is None else (credentials_from(info, SCOPES), None)
        except (GoogleAuthError, ValueError) as error:
            raise ValueError(_unusable(info, hidden(str(error), self))) from None
        return cast("tuple[Credentials, str | None]", found)

    def _federated_project(self) -> str | None:
        """Ask for the project of credentials of workload identity federation, which have its number alone."""
        from google.auth.exceptions import GoogleAuthError

        from headrace_gcp.sessions import LimitedRequest

        ask = getattr(self.get_credentials_from_service_account(), "get_project_id", None)
        try:
            return ask(LimitedRequest(GcpSettings().request_timeout_seconds)) if ask is not None else None
        except GoogleAuthError:
            return None

    def _session(self) -> dict[str, Any]:
        """Return the arguments of a client by which its requests end: the SDK's own sessions wait for some answers without end."""
        from headrace_gcp.sessions import LimitedSession

        credentials = self.get_credentials_from_service_account()
        return {"credentials": credentials, "_http": LimitedSession(credentials, GcpSettings().request_timeout_seconds)}

    def _rest(self, service: str) -> dict[str, Any]:
        """Return the arguments of a generated client's REST transport."""
        scheme, _, host = endpoint(service, f"https://{service}.googleapis.com").partition("://")
        return {"host": host.rstrip("/"), "url_scheme": scheme, "credentials": self.get_credentials_from_service_account()}


def endpoint(service: str, default: str) -> str:
    """Return the address of a service: that of the setting `integrations.gcp.endpoints`, or `default`."""
    return GcpSettings().endpoints.get(service, default).rstrip("/")


def _options(service: str) -> dict[str, str] | None:
    found = endpoint(service, "")
    return {"api_endpoint": found} if found else None


def _project_of(info: dict[str, Any] | None) -> str | None:
    found = (info or {}).get("project_id") or (info or {}).get("quota_project_id")
    return str(found) if found else None


def _unusable(info: dict[str, Any] | None, said: str) -> str:
    if info is None:
        return (
            f"There are no credentials for Google Cloud: {said} Give the block a service_account_info or service_account_file, or run "
            "`gcloud auth application-default login`."
        )
    return f"The credentials for Google Cloud cannot be used: {said} Give what Google wrote into the key's file, unchanged."


@contextmanager
def logging_in() -> Generator[None]:
    """Use credentials within this. Raises google.auth's `RefreshError` that says what to do when they are not taken."""
    from google.auth.exceptions import RefreshError

    try:
        yield
    except RefreshError as error:
        raise RefreshError(no_token(error)) from error


def no_token(error: Exception) -> str:
    """Say what google.auth's `RefreshError` means."""
    return f"Google Cloud gave no token for these credentials ({error.args[0]}). Check the GcpCredentials block, or the login of the environment."


@contextmanager
def needing(extra: str) -> Generator[None]:
    """Import an SDK within this. Raises `ImportError` that names the extra which brings what is missing."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{error.name or 'An SDK'} is not installed. Get it with: pip install 'headrace-gcp[{extra}]'") from error
