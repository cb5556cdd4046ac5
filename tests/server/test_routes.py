"""Finding what answers by method and path."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.server.routes import Router

ID = "0db5e262-ef92-4d27-9bc5-2e202ae2d987"

ROUTES = Router(
    (method, path, f"{method} {path}")
    for method, path in [
        ("GET", "/things/{id}"),
        ("DELETE", "/things/{id}"),
        ("POST", "/things/filter"),
        ("GET", "/things/{name}/parts"),
        ("GET", "/things/mine/{key}"),
        ("GET", "/owned-by/{resource_id}"),
        ("GET", "/things/"),
    ]
)


@pytest.mark.parametrize(
    ("path", "target", "parameters"),
    [
        (f"/things/{ID}", "/things/{id}", {"id": UUID(ID)}),
        (f"/things/{ID.upper().replace('-', '')}", "/things/{id}", {"id": UUID(ID)}),
        ("/things/mine/parts", "/things/mine/{key}", {"key": "parts"}),
        ("/things/other/parts", "/things/{name}/parts", {"name": "other"}),
        ("/things/a%2Fb%20c/parts", "/things/{name}/parts", {"name": "a/b c"}),
        ("/owned-by/prefect.deployment.x", "/owned-by/{resource_id}", {"resource_id": "prefect.deployment.x"}),
        ("/things/", "/things/", {}),
    ],
)
def test_static_segments_win_and_ids_are_uuids(path: str, target: str, parameters: dict[str, object]) -> None:
    assert ROUTES.find("GET", path) == (f"GET {target}", parameters)


@pytest.mark.parametrize(
    ("method", "path", "methods"),
    [
        ("PUT", f"/things/{ID}", {"GET", "DELETE"}),
        ("GET", "/things/filter", {"POST"}),
        ("GET", "/things/not-an-id", set()),
        ("GET", "/things", set()),
        ("GET", "/things//parts", set()),
        ("GET", "/things/a%00/parts", set()),
        ("GET", "", set()),
    ],
)
def test_a_miss_names_the_methods_that_the_path_has(method: str, path: str, methods: set[str]) -> None:
    assert ROUTES.find(method, path) == frozenset(methods)
