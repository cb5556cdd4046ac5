"""Utilities for common interactions with the dbt Cloud API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace_dbt.calls import AsyncTask, settled

if TYPE_CHECKING:
    import httpx

    from headrace_dbt.cloud.credentials import DbtCloudCredentials

RETRIES = 3
RETRY_DELAY_SECONDS = 10

_ADVICE = {
    401: "Check the api_key: it is wrong, or no longer valid.",
    403: "The api_key is not allowed to do this: give its owner the permission, or use another.",
    404: "Check the id, and account_id and domain: there is nothing of that id in this account.",
    429: "dbt Cloud gets too many requests; try again later.",
}


class DbtCloudAdministrativeApiCallFailed(Exception):
    """Raised when a call to dbt Cloud administrative API fails."""


def extract_user_message(ex: httpx.HTTPStatusError) -> str | None:
    """Return the `user_message` in an error response of the administrative API, None when there is none."""
    return _from_status(ex, "user_message")


def extract_developer_message(ex: httpx.HTTPStatusError) -> str | None:
    """Return the `developer_message` in an error response of the administrative API, None when there is none."""
    return _from_status(ex, "developer_message")


def _from_status(ex: httpx.HTTPStatusError, name: str) -> str | None:
    try:
        return ex.response.json()["status"].get(name) or None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def told(error: Exception) -> str:
    """Return what went wrong with a request and what to do, from the answer if there was one."""
    import httpx

    if isinstance(error, httpx.DecodingError):
        return str(error)
    if not isinstance(error, httpx.HTTPStatusError):
        place = error.request.url.host if isinstance(error, httpx.RequestError) else "its address"
        return f"dbt Cloud did not answer at {place}: {type(error).__name__}: {error}".rstrip(": ")
    code = error.response.status_code
    said = [part for part in (extract_user_message(error), extract_developer_message(error)) if part]
    parts = [*(said or [f"dbt Cloud answered {code} to {error.request.method} {error.request.url.path}."]), _ADVICE.get(code, "")]
    return " ".join(part for part in parts if part)


def was_surely_not_done(error: BaseException | None) -> bool:
    """Say whether a request that failed changed nothing for sure, so that it may be sent again."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def is_worth_a_retry(task: Any, task_run: Any, state: Any) -> bool:
    """Say whether a failed call that only reads may succeed later: not when dbt Cloud refused it."""
    import httpx

    cause = _cause_of(state)
    return not isinstance(cause, httpx.HTTPStatusError) or cause.response.status_code in (408, 429) or cause.response.status_code >= 500


def may_be_sent_again(task: Any, task_run: Any, state: Any) -> bool:
    """Say whether a failed call that changes something may be repeated: only when it surely did nothing."""
    return was_surely_not_done(_cause_of(state))


def _cause_of(state: Any) -> BaseException | None:
    error = state.data if isinstance(state.data, BaseException) else None
    return error.__cause__ if error is not None else None


async def _call(
    dbt_cloud_credentials: DbtCloudCredentials,
    path: str,
    http_method: str,
    params: dict[str, Any] | None = None,
    json: dict[str, Any] | None = None,
) -> Any:
    """Call any endpoint of the administrative API and return the body of its answer, parsed if it is JSON.

    `path` is appended to the account's address, as `/projects/`. Raises `DbtCloudAdministrativeApiCallFailed`. A call that reads is retried; one
    that changes something only when it surely did nothing.

    Example:
        ```python
        from headrace import flow
        from headrace_dbt.cloud import DbtCloudCredentials
        from headrace_dbt.cloud.utils import call_dbt_cloud_administrative_api_endpoint

        @flow
        def get_projects_flow():
            credentials = DbtCloudCredentials(api_key="my_api_key", account_id=123456789)
            return call_dbt_cloud_administrative_api_endpoint(credentials, path="/projects/", http_method="GET")["data"]
        ```
    """
    import httpx

    try:
        with dbt_cloud_credentials.get_administrative_client() as client:
            response = await settled(client.call_endpoint(http_method, path, params, json))
    except httpx.HTTPError as error:
        raise DbtCloudAdministrativeApiCallFailed(told(error)) from error
    try:
        return response.json()
    except ValueError:
        return response.text


def _may_repeat(task: Any, task_run: Any, state: Any) -> bool:
    import httpx

    cause = _cause_of(state)
    request = cause.request if isinstance(cause, httpx.HTTPError) else None
    return (is_worth_a_retry if request is not None and request.method in ("GET", "HEAD") else may_be_sent_again)(task, task_run, state)


call_dbt_cloud_administrative_api_endpoint = AsyncTask(
    _call,
    name="Call dbt Cloud administrative API endpoint",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_may_repeat,
)
