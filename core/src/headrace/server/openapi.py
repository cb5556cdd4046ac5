"""The API described in OpenAPI, made by FastAPI from the endpoint table when it is first asked for. FastAPI serves nothing."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Body, FastAPI, Header, Query
from pydantic import BaseModel, Field, create_model

from headrace.model.base import Action
from headrace.model.endpoints.admin import READ_SETTINGS
from headrace.model.endpoints.base import Endpoint
from headrace.operations import table
from headrace.server import pages
from headrace.server.callers import API_VERSION
from headrace.server.routes import is_id, known_endpoints
from headrace.settings.declaration import Declaration, Group

INTERNAL = frozenset({"records", "owners"})
"""Nouns whose routes only headrace's own client uses."""


class Problem(BaseModel):
    """An error. Its text is in one of the two fields, depending on where the error came from."""

    detail: str | None = None
    exception_message: str | None = None


class InvalidRequestProblem(BaseModel):
    """A request that does not fit: what is wrong, piece by piece, or what rule it breaks."""

    detail: str | None = None
    exception_message: str | None = None
    exception_detail: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    request_body: Any = None


_ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"model": InvalidRequestProblem, "description": "The request is not valid."},
    "default": {"model": Problem, "description": "An error."},
}


_HEADERS: dict[str, tuple[str, Any, Any]] = {"/work_queues/{id}/get_runs": ("x-prefect-ui", bool | None, False)}


_UNUSED_SETTINGS: dict[str, dict[str, Any]] = {
    "": {"cloud": {"api_url": str, "enable_orchestration_telemetry": bool, "max_log_size": int, "ui_url": str | None}},
    "server": {
        "analytics_enabled": bool,
        "worker_channel": {
            "cleanup_queue_storage": str,
            "cleanup_lease_seconds": float,
            "cleanup_max_delivery_attempts": int,
            "cleanup_completed_idempotency_retention_seconds": float | None,
        },
    },
}
"""Settings of the documented API that mean nothing here, by group. No answer holds them; a foreign client finds them described."""
_AS_GIVEN: dict[str, Any] = {
    "client.retry_extra_codes": str | int | list[int] | None,
    "tasks.default_retry_delay_seconds": str | int | float | list[float] | None,
}
"""Settings that may be given in more ways than they are read."""


def _settings() -> type[BaseModel]:
    """Return a model of all settings, as they are shown."""
    from headrace.settings.tree.root import Settings

    return _settings_model(Settings)


def _settings_model(group: type[Group]) -> type[BaseModel]:
    fields: dict[str, Any] = {name: (_shown_type(one), ...) for name, one in group.settings_declared.items()}
    fields |= {name: (_settings_model(nested), ...) for name, nested in group.settings_groups.items()}
    fields |= _unused(group.__name__, _UNUSED_SETTINGS.get(group.settings_path, {}))
    return create_model(group.__name__, **fields)


def _shown_type(setting: Declaration) -> Any:
    return str | None if setting.is_secret else _AS_GIVEN.get(setting.path, setting.hint)  # a secret is shown as asterisks


def _unused(owner: str, names: dict[str, Any]) -> dict[str, Any]:
    kinds = {
        name: create_model(f"{owner}_{name}", **_unused(name, cast("dict[str, Any]", kind))) if isinstance(kind, dict) else kind
        for name, kind in names.items()
    }
    return {name: (kind | None, None) for name, kind in kinds.items()}


_SHOWN: dict[Endpoint[Any], Callable[[], Any]] = {READ_SETTINGS: _settings}
"""Answers whose shape is made, for it would cost too much to write it down twice."""


@lru_cache(1)
def document(base_path: str) -> bytes:
    """Return the description as JSON, for an API that is served below `base_path`."""
    app = FastAPI(title="headrace", version=API_VERSION, description="The API of headrace.")
    for endpoint in known_endpoints():
        if endpoint.noun not in INTERNAL:
            _add(app, base_path, endpoint)
    for method, path, page in pages.INSIDE:
        if page.returns is not None:
            _add_page(app, base_path, method, path, page)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # FastAPI names bodies in a way that pydantic does not like
        return json.dumps(app.openapi(), separators=(",", ":")).encode()


def _add(app: FastAPI, base_path: str, endpoint: Endpoint[Any]) -> None:
    is_json = endpoint.media_type == "application/json"
    answer: dict[str, Any] = {} if endpoint.status == 204 or not is_json else {"model": _SHOWN.get(endpoint, lambda: endpoint.returns or Any)()}
    described = inspect.getdoc(table.find(endpoint).fn) or ""
    others = endpoint.also or ((200,) if endpoint.status == 201 else ())  # what was there already is answered with 200
    also: dict[int | str, dict[str, Any]] = {status: {**answer, "description": "As well."} for status in others}
    app.add_api_route(
        base_path + endpoint.path,
        _function(endpoint.path, endpoint.query, endpoint.body),
        methods=[endpoint.method],
        status_code=endpoint.status,
        response_model=answer.get("model"),
        responses={**_ERRORS, **also},
        tags=[endpoint.noun],
        summary=_summary(described),
        description=described,
        operation_id=f"{endpoint.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', endpoint.path.lower()).strip('_')}",
    )


def _add_page(app: FastAPI, base_path: str, method: str, path: str, page: pages.Page) -> None:
    described = inspect.getdoc(page.answer) or ""
    app.add_api_route(
        base_path + path,
        _function(path, (), None),
        methods=[method],
        response_model=page.returns,
        responses=_ERRORS,
        tags=["root"],
        summary=_summary(described) or path.strip("/").capitalize(),
        description=described,
    )


def _summary(described: str) -> str:
    return described.partition(".")[0].replace("`", "")


def _function(path: str, query: Iterable[tuple[Any, ...]], body: Any) -> Callable[..., None]:
    """Return a function that is never called, whose signature says what the route takes."""
    parameters = [_parameter(name, UUID if is_id(name) else str) for name in re.findall(r"{(\w+)}", path)]
    for name, kind, *default in query:
        default = [one.isoformat() if isinstance(one, datetime) else one for one in default]
        parameters.append(_parameter(name.replace("-", "_"), Annotated[kind, Query(alias=name)], *default))
    if path in _HEADERS:
        name, kind, standard = _HEADERS[path]
        parameters.append(_parameter(name.replace("-", "_"), Annotated[kind, Header()], standard))
    parameters.append(_parameter("x_prefect_api_version", Annotated[str, Header()], None))
    if body is not None:
        parameters.append(_parameter("body", body, Body() if is_needed(body) else Body(None)))

    def route() -> None: ...

    route.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]  # PEP 362
    return route


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def is_needed(body: Any) -> bool:
    """Say whether a request must have a body: not where all its parts may be left out."""
    if body is str:
        return False  # nothing is a text as well
    if not isinstance(body, type) or not issubclass(body, BaseModel) or issubclass(body, Action):
        return True
    return any(field.is_required() for field in body.model_fields.values())
