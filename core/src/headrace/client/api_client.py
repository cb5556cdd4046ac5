"""The documented client objects. Each method is written once, as a coroutine in `methods`; the blocking client drives it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.methods.admin import AdminMethods
from headrace.client.methods.artifacts import ArtifactMethods
from headrace.client.methods.automations import AutomationMethods, EventMethods
from headrace.client.methods.blocks import BlockMethods
from headrace.client.methods.concurrency import ConcurrencyMethods
from headrace.client.methods.deployments import DeploymentMethods
from headrace.client.methods.flow_runs import FlowRunMethods
from headrace.client.methods.flows import FlowMethods
from headrace.client.methods.run_inputs import RunInputMethods
from headrace.client.methods.task_runs import TaskRunMethods
from headrace.client.methods.variables import VariableMethods
from headrace.client.methods.work_pools import WorkPoolMethods, WorkQueueMethods
from headrace.model.endpoints.base import Endpoint
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.client.http import HttpClient

R = TypeVar("R")


class _Session:
    """Opening and closing, which the documented clients must be.

    They share the process-wide client, so closing one closes nothing; one with `httpx_settings` has its own connections to the server.
    """

    def __init__(self, httpx_settings: dict[str, Any] | None = None) -> None:
        self._is_open = False
        self._was_closed = False
        self._own = _own_client(httpx_settings) if httpx_settings else None

    def _open(self) -> None:
        if self._was_closed:
            raise RuntimeError("This client is closed and cannot be used again. Call get_client() for a new one.")
        if self._is_open:
            raise RuntimeError("This client is open already. Call get_client() for another one.")
        self._is_open = True

    def _close(self) -> None:
        self._is_open = False
        self._was_closed = True
        if self._own is not None:
            self._own.close()

    @property
    def api_url(self) -> str | None:
        """The address of the API; None for the embedded database, which has none."""
        return getattr(self._own or current_client(), "url", None)

    async def call(self, endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
        """Perform `endpoint`; see `Client.call`."""
        return await (self._own or current_client()).call(endpoint, body, **parameters)


def _own_client(given: dict[str, Any]) -> HttpClient | None:
    settings = get_current_settings()
    unknown = sorted(given.keys() - {"base_url", "headers", "timeout", "verify"})
    if unknown:
        raise TypeError(f"httpx_settings has {', '.join(map(repr, unknown))}; known are 'base_url', 'headers', 'timeout' and 'verify'.")
    url = given.get("base_url") or settings.api.url
    if not url:
        return None
    from headrace.client.http import HttpClient

    return HttpClient(str(url), settings, headers=given.get("headers"), timeout_seconds=given.get("timeout"), verify=given.get("verify"))


class _Methods(
    FlowMethods,
    FlowRunMethods,
    TaskRunMethods,
    BlockMethods,
    VariableMethods,
    ArtifactMethods,
    RunInputMethods,
    ConcurrencyMethods,
    DeploymentMethods,
    WorkPoolMethods,
    WorkQueueMethods,
    AutomationMethods,
    EventMethods,
    AdminMethods,
):
    """Every documented method. A noun adds its mixin here."""


class HeadraceClient(_Methods, _Session):
    """Reach the operations from async code: `async with get_client() as client: await client.read_flow_runs()`."""

    async def __aenter__(self) -> HeadraceClient:
        self._open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def __enter__(self) -> None:
        raise RuntimeError("The async client is opened with `async with`. For plain `with` use get_client(sync_client=True).")

    def __exit__(self, *_: object) -> None:
        raise RuntimeError("The async client is closed by `async with`.")


def _driven(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def blocking(*args: Any, **kwargs: Any) -> Any:
        return drive(method(*args, **kwargs))

    return blocking


class SyncHeadraceClient(_Session):
    """Reach the operations from blocking code: `with get_client(sync_client=True) as client: client.read_flow_runs()`.

    It has the methods of `HeadraceClient`, each of which returns its value.
    """

    def __enter__(self) -> SyncHeadraceClient:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]: ...


for _name, _method in inspect.getmembers(_Methods, inspect.isfunction):
    if not _name.startswith("_"):
        setattr(SyncHeadraceClient, _name, _driven(_method) if inspect.iscoroutinefunction(_method) else _method)


@overload
def get_client(httpx_settings: dict[str, Any] | None = None, sync_client: Literal[False] = False) -> HeadraceClient: ...
@overload
def get_client(httpx_settings: dict[str, Any] | None = None, *, sync_client: Literal[True]) -> SyncHeadraceClient: ...
def get_client(httpx_settings: dict[str, Any] | None = None, sync_client: bool = False) -> HeadraceClient | SyncHeadraceClient:
    """Return a client for the present settings, async or, with `sync_client`, blocking.

    `httpx_settings`: `base_url` of another API, `headers` to send too, `timeout` in seconds and `verify` (False, or a file of certificates). Any
    other raises `TypeError`. Without an API URL the client works on the database directly, and they mean nothing.
    """
    return SyncHeadraceClient(httpx_settings) if sync_client else HeadraceClient(httpx_settings)
