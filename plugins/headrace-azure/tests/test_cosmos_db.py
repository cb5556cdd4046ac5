"""Items of Cosmos DB: tasks, by the real SDK, against what speaks as Cosmos DB does."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from headrace import flow
from headrace_azure import AzureCosmosDbCredentials
from headrace_azure.cosmos_db import acosmos_db_read_item, cosmos_db_create_item, cosmos_db_query_items, cosmos_db_read_item
from headrace_azure.errors import AzureError

from .cosmos import CONTAINER, DATABASE, Cosmos, cosmos


@pytest.fixture
def account() -> Iterator[Cosmos]:
    with cosmos() as found:
        yield found


@pytest.fixture
def login(account: Cosmos) -> AzureCosmosDbCredentials:
    return AzureCosmosDbCredentials.model_validate({"connection_string": account.connection_string})


def test_items_are_created_read_and_found(login: AzureCosmosDbCredentials) -> None:
    @flow
    def sells() -> tuple[str, str, list[str], list[str]]:
        made = cosmos_db_create_item({"id": "1", "city": "Oslo", "name": "pump"}, CONTAINER, DATABASE, login)
        cosmos_db_create_item({"id": "2", "city": "Bergen", "name": "pump"}, CONTAINER, DATABASE, login)
        read = cosmos_db_read_item("2", "Bergen", login.get_container_client(CONTAINER, DATABASE), DATABASE, login)
        text = "SELECT * FROM products p WHERE p.name = @name"
        parameters: list[dict[str, object]] = [{"name": "@name", "value": "pump"}]
        everywhere = cosmos_db_query_items(text, CONTAINER, login.get_database_client(DATABASE), login, parameters)
        there = cosmos_db_query_items(text, CONTAINER, DATABASE, login, parameters, partition_key="Oslo")
        return made["id"], read["name"], [one["id"] for one in everywhere], [one["id"] for one in there]

    assert sells() == ("1", "pump", ["1", "2"], ["1"])


def test_async_flows_wait_for_items(login: AzureCosmosDbCredentials) -> None:
    import asyncio

    cosmos_db_create_item.fn({"id": "1", "city": "Oslo"}, CONTAINER, DATABASE, login)
    assert asyncio.run(acosmos_db_read_item("1", "Oslo", CONTAINER, DATABASE, login))["city"] == "Oslo"


def test_what_is_wrong_is_told(login: AzureCosmosDbCredentials) -> None:
    with pytest.raises(AzureError, match="item 'none' of the container 'products'.*Check the name"):
        cosmos_db_read_item.fn("none", "Oslo", CONTAINER, DATABASE, login)
    cosmos_db_create_item.fn({"id": "1", "city": "Oslo"}, CONTAINER, DATABASE, login)
    with pytest.raises(AzureError, match="already exists"):
        cosmos_db_create_item.fn({"id": "1", "city": "Oslo"}, CONTAINER, DATABASE, login)


def test_a_wrong_key_is_told_and_not_shown(account: Cosmos) -> None:
    key = base64.b64encode(b"another-private-key").decode()
    wrong = AzureCosmosDbCredentials.model_validate({"connection_string": f"AccountEndpoint={account.url}/;AccountKey={key};"})
    with pytest.raises(AzureError, match="Wrong key") as caught:
        cosmos_db_read_item.fn("1", "Oslo", CONTAINER, DATABASE, wrong)
    assert key not in f"{caught.value} {wrong!r}"


def test_a_connection_string_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="AccountEndpoint=") as caught:
        AzureCosmosDbCredentials.model_validate({"connection_string": "private nonsense"}).get_client()
    assert "private nonsense" not in str(caught.value)
