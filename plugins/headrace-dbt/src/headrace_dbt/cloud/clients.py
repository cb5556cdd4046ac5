"""Module containing clients for interacting with the dbt Cloud API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote, urlsplit

from headrace.blocks.credentials import Live
from headrace.utilities.asyncutils import twins
from headrace_dbt.cloud.exceptions import DbtCloudException

if TYPE_CHECKING:
    import httpx

    from headrace_dbt.cloud.models import TriggerJobRunOptions

TIMEOUT_SECONDS = 60.0
"""How long dbt Cloud may take to answer a request, unless the credentials say otherwise."""

RelatedField = Literal["trigger", "job", "debug_logs", "run_steps"]


def base_url(domain: str, prefix: str = "") -> str:
    """Return the address of a domain of dbt Cloud: https, unless it is this machine itself. Raises `ValueError` for http elsewhere."""
    scheme, _, rest = domain.rpartition("://")
    host = urlsplit(f"//{rest}").hostname
    is_local = host in ("127.0.0.1", "localhost", "::1")
    if scheme == "http" and not is_local:
        raise ValueError(f"dbt Cloud at {domain!r} would get the API key unencrypted. Give the domain alone, as 'cloud.getdbt.com'.")
    return f"{scheme or 'https'}://{'' if is_local else prefix}{rest.rstrip('/')}"


def json_of(response: httpx.Response) -> Any:
    """Return the JSON of an answer. Raises `httpx.DecodingError` for what is none, as the page of a proxy."""
    import httpx

    try:
        return response.json()
    except ValueError:
        said = f"What answered at {response.request.url.host} is not the API of dbt Cloud. Check the domain."
        raise httpx.DecodingError(said, request=response.request) from None


def data_of(response: httpx.Response) -> Any:
    """Return what an answer of the administrative API holds. Raises as `json_of`."""
    return json_of(response)["data"]


class _Client:
    """What both clients are: a connection that is made at first use, closed at the end of `with` or `async with`."""

    def __init__(self, api_key: str, url: str, timeout_seconds: float) -> None:
        self._api_key = api_key
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._connection: Live[httpx.Client] = Live()

    def _connect(self) -> httpx.Client:
        import httpx

        headers = {"Authorization": f"Bearer {self._api_key}", "user-agent": "headrace-dbt", "x-dbt-partner-source": "headrace"}
        return httpx.Client(base_url=self._url, headers=headers, timeout=self._timeout_seconds)

    def _close(self) -> None:
        connection = self._connection.drop()
        if connection is not None:
            connection.close()

    close, aclose = twins(_close)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


class DbtCloudAdministrativeClient(_Client):
    """Client for interacting with the dbt Cloud Administrative API, version 2.

    Every method gives the response, or in async code what is to be awaited for it. Each raises `httpx.HTTPStatusError` for an answer that is an
    error and `httpx.TransportError` when there is none within `timeout_seconds`. Nothing is sent twice.
    """

    def __init__(self, api_key: str, account_id: int, domain: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        super().__init__(api_key, f"{base_url(domain)}/api/v2/accounts/{account_id}", timeout_seconds)
        self._account_id = account_id

    def _call(self, http_method: str, path: str, params: dict[str, Any] | None = None, json: dict[str, Any] | None = None) -> httpx.Response:
        """Call an endpoint. `path` is appended to the account's address, as `/projects/`; parameters that are None are left out."""
        given = {name: value for name, value in (params or {}).items() if value is not None}
        response = self._connection.get(self._connect).request(http_method, path, params=given, json=json)
        response.raise_for_status()
        return response

    call_endpoint, acall_endpoint = twins(_call)

    def get_job(self, job_id: int, order_by: str | None = None) -> Any:
        """Return job details. `order_by`: the field to order by, with `-` before it for the reverse."""
        return self.call_endpoint("GET", f"/jobs/{job_id}/", {"order_by": order_by})

    def create_job(self, project_id: int, environment_id: int, name: str, execute_steps: list[str] | None = None, **kwargs: Any) -> Any:
        """Create a job. `execute_steps`: default `["dbt build"]`. `kwargs`: more of the job's fields, as `triggers`, `settings`."""
        body = {
            "id": None,
            "account_id": self._account_id,
            "project_id": project_id,
            "environment_id": environment_id,
            "name": name,
            "execute_steps": execute_steps or ["dbt build"],
            **kwargs,
        }
        return self.call_endpoint("POST", "/jobs/", None, body)

    def delete_job(self, job_id: int) -> Any:
        """Delete a job."""
        return self.call_endpoint("DELETE", f"/jobs/{job_id}/")

    def trigger_job_run(self, job_id: int, options: TriggerJobRunOptions | None = None) -> Any:
        """Trigger a run of a job; `options` change what the run does."""
        from headrace_dbt.cloud.models import TriggerJobRunOptions

        return self.call_endpoint("POST", f"/jobs/{job_id}/run/", None, (options or TriggerJobRunOptions()).model_dump(exclude_none=True))

    def get_run(self, run_id: int, include_related: list[RelatedField] | None = None) -> Any:
        """Return details of a run. `include_related`: what to add; debug logs are cut to their last 1,000 lines unless `debug_logs` is in it."""
        return self.call_endpoint("GET", f"/runs/{run_id}/", {"include_related": include_related})

    def list_run_artifacts(self, run_id: int, step: int | None = None) -> Any:
        """Return the paths of the artifacts of a completed run. `step`: of which step, counted from 1; default the last."""
        return self.call_endpoint("GET", f"/runs/{run_id}/artifacts/", {"step": step})

    def get_run_artifact(self, run_id: int, path: str, step: int | None = None) -> Any:
        """Return an artifact of a completed run, as `manifest.json`. `step`: of which step, counted from 1; default the last."""
        return self.call_endpoint("GET", f"/runs/{run_id}/artifacts/{_path(path)}", {"step": step})

    def get_job_artifact(self, job_id: int, path: str) -> Any:
        """Return an artifact of the most recent successful run of a job."""
        return self.call_endpoint("GET", f"/jobs/{job_id}/artifacts/{_path(path)}")


def _path(path: str) -> str:
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path!r} is not the path of an artifact. Give one as 'manifest.json' or 'compiled/shop/models/orders.sql'.")
    return "/".join(quote(part) for part in parts)


class DbtCloudMetadataClient(_Client):
    """Client for interacting with the dbt Cloud metadata API, which speaks GraphQL."""

    def __init__(self, api_key: str, domain: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        super().__init__(api_key, f"{base_url(domain, 'metadata.')}/graphql", timeout_seconds)

    def _query(self, query: str, variables: dict[str, Any] | None = None, operation_name: str | None = None) -> dict[str, Any]:
        """Run a GraphQL query and return its result, `{"data": …}`, with `errors` beside it when a part could not be had.

        `operation_name`: which operation to run where the query defines several. Raises `DbtCloudException` when there are only errors,
        `httpx.HTTPStatusError` for an answer that is an error and `httpx.TransportError` when there is none.
        """
        body = {"query": query, "variables": variables, "operationName": operation_name}
        response = self._connection.get(self._connect).post(self._url, json={name: value for name, value in body.items() if value is not None})
        response.raise_for_status()
        result: dict[str, Any] = json_of(response)
        if result.get("errors") and not result.get("data"):
            said = "; ".join(str(error.get("message", error)) for error in result["errors"])
            raise DbtCloudException(f"The metadata API of dbt Cloud did not run the query: {said}")
        return result

    query, aquery = twins(_query)
