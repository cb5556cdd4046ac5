"""The description of the API, held against the documented one."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from headrace.server.openapi import document
from headrace.server.routes import known_endpoints
from server.contract import Comparison, compact, contract


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return json.loads(document("/api"))


def test_the_documented_api_is_there(described: dict[str, Any]) -> None:
    assert Comparison(contract(), compact(described)).problems() == []


def test_a_lost_field_would_be_noticed(described: dict[str, Any]) -> None:
    """The comparison itself finds what is taken away from one side."""
    ours = compact(described)
    del ours["schemas"]["FlowCreate"]["fields"]["tags"]
    del ours["routes"]["GET /flows/{}"]
    assert Comparison(contract(), ours).problems() == ["GET /flows/{}: missing", "POST /flows/ body.tags: missing"]


def test_every_route_has_a_summary_and_a_name_of_its_own(described: dict[str, Any]) -> None:
    routes = [route for methods in described["paths"].values() for route in methods.values()]
    assert [route["operationId"] for route in routes if not route["summary"]] == []
    assert len({route["operationId"] for route in routes}) == len(routes)


def test_every_endpoint_of_the_table_can_be_called() -> None:
    from headrace.operations import table

    for endpoint in known_endpoints():
        assert callable(table.find(endpoint).fn), endpoint


def test_description_and_pages_are_served_inside_and_outside_of_the_api(server: str) -> None:
    outside = server.removesuffix("/api")
    inner, outer = httpx.get(f"{server}/openapi.json"), httpx.get(f"{outside}/openapi.json")
    assert inner.json() == outer.json()
    assert "/api/flows/{id}" in inner.json()["paths"]
    for address in (f"{server}/docs", f"{outside}/docs", f"{outside}/"):
        page = httpx.get(address)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
