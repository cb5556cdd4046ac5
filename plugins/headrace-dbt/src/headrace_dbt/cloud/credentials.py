"""Module containing credentials for interacting with dbt Cloud."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from headrace.blocks.abstract import CredentialsBlock
from headrace_dbt.cloud.clients import TIMEOUT_SECONDS, DbtCloudAdministrativeClient, DbtCloudMetadataClient


class DbtCloudCredentials(CredentialsBlock):
    """Credentials block for use across dbt Cloud tasks and flows.

    Example:
        ```python
        from headrace_dbt.cloud import DbtCloudCredentials

        credentials = DbtCloudCredentials.load("BLOCK_NAME")
        with credentials.get_administrative_client() as client:
            client.trigger_job_run(job_id=1)
        ```
    """

    _block_type_name = "dbt Cloud Credentials"
    _block_type_slug = "dbt-cloud-credentials"

    api_key: SecretStr = Field(title="API Key", description="A dbt Cloud API key to authenticate with the dbt Cloud administrative API.")
    account_id: int = Field(title="Account ID", description="The ID of your dbt Cloud account.")
    domain: str = Field(default="cloud.getdbt.com", description="The base domain of your dbt Cloud instance.")
    request_timeout_seconds: float = Field(default=TIMEOUT_SECONDS, gt=0, description="How long dbt Cloud may take to answer a request.")

    def get_administrative_client(self) -> DbtCloudAdministrativeClient:
        """Return a new client of the administrative API."""
        return DbtCloudAdministrativeClient(self.api_key.get_secret_value(), self.account_id, self.domain, self.request_timeout_seconds)

    def get_metadata_client(self) -> DbtCloudMetadataClient:
        """Return a new client of the metadata API.

        Example:
            ```python
            with credentials.get_metadata_client() as client:
                client.query("{ metrics(jobId: 123) { uniqueId name } }")
            ```
        """
        return DbtCloudMetadataClient(self.api_key.get_secret_value(), self.domain, self.request_timeout_seconds)

    def get_client(self, client_type: Literal["administrative", "metadata"]) -> Any:
        """Return a new client of the API asked for. Raises `ValueError` for any other `client_type`."""
        if client_type == "administrative":
            return self.get_administrative_client()
        if client_type == "metadata":
            return self.get_metadata_client()
        raise ValueError(f"'client_type' should be 'administrative' or 'metadata', not {client_type!r}.")
