"""Tasks for items of Azure Cosmos DB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace_azure.credentials import AzureCosmosDbCredentials
from headrace_azure.errors import explaining
from headrace_azure.tasks import logger, twin_tasks

if TYPE_CHECKING:
    from azure.cosmos import ContainerProxy, DatabaseProxy


def _query_items(
    query: str,
    container: str | ContainerProxy | dict[str, Any],
    database: str | DatabaseProxy | dict[str, Any],
    cosmos_db_credentials: AzureCosmosDbCredentials,
    parameters: list[dict[str, object]] | None = None,
    partition_key: Any | None = None,
    **kwargs: Any,
) -> list[str | dict[str, Any]]:
    """Return all results of a query in Cosmos DB's SQL, as `SELECT * FROM products p WHERE p.id = @id`.

    `container` and `database`: their names, the SDK's clients of them, or dictionaries with their properties. `parameters`: a dictionary with 'name'
    and 'value' for each. `partition_key`: where to look; without it, in all partitions. `kwargs` go to the SDK's `query_items`.

    Raises `AzureError`, whose cause is the SDK's error, when Cosmos DB refuses or does not answer.

    Example:
        ```python
        from headrace import flow
        from headrace_azure import AzureCosmosDbCredentials
        from headrace_azure.cosmos_db import cosmos_db_query_items

        @flow
        def example_cosmos_db_query_items_flow():
            return cosmos_db_query_items(
                "SELECT * FROM products p WHERE p.city = @city", "products", "shop", AzureCosmosDbCredentials.load("my-account"),
                parameters=[{"name": "@city", "value": "Oslo"}],
            )
        ```
    """
    logger().info("Running a query of Cosmos DB in the container %s", _named(container))
    if partition_key is None:
        kwargs.setdefault("enable_cross_partition_query", True)
    else:
        kwargs["partition_key"] = partition_key
    with explaining(f"The container {_named(container)} of Cosmos DB cannot be queried", cosmos_db_credentials):
        client = _container(cosmos_db_credentials, database, container)
        return list(client.query_items(query=query, parameters=parameters, **kwargs))


def _read_item(
    item: str | dict[str, Any],
    partition_key: Any,
    container: str | ContainerProxy | dict[str, Any],
    database: str | DatabaseProxy | dict[str, Any],
    cosmos_db_credentials: AzureCosmosDbCredentials,
    **kwargs: Any,
) -> dict[str, Any]:
    """Return an item, by its id or a dictionary with it, and its partition key. `kwargs` go to the SDK's `read_item`.

    `container` and `database` as for `cosmos_db_query_items`. Raises `AzureError`, whose cause is the SDK's error, also for a missing item.
    """
    logger().info("Reading an item of Cosmos DB from the container %s", _named(container))
    with explaining(f"The item {_named(item)} of the container {_named(container)} of Cosmos DB cannot be read", cosmos_db_credentials):
        return _container(cosmos_db_credentials, database, container).read_item(item, partition_key, **kwargs)


def _create_item(
    body: dict[str, Any],
    container: str | ContainerProxy | dict[str, Any],
    database: str | DatabaseProxy | dict[str, Any],
    cosmos_db_credentials: AzureCosmosDbCredentials,
    **kwargs: Any,
) -> dict[str, Any]:
    """Create an item and return it as it was stored. `kwargs` go to the SDK's `create_item`. To replace one, use the SDK's `upsert_item`.

    `container` and `database` as for `cosmos_db_query_items`. Raises `AzureError`, whose cause is the SDK's error, also for an id that is taken.
    """
    logger().info("Creating an item of Cosmos DB in the container %s", _named(container))
    with explaining(f"An item cannot be created in the container {_named(container)} of Cosmos DB", cosmos_db_credentials):
        return _container(cosmos_db_credentials, database, container).create_item(body, **kwargs)


def _container(credentials: AzureCosmosDbCredentials, database: Any, container: Any) -> ContainerProxy:
    return credentials.get_client().get_database_client(database).get_container_client(container)


def _named(given: Any) -> str:
    name = given if isinstance(given, str) else given.get("id") if isinstance(given, dict) else getattr(given, "id", None)
    return repr(name)


cosmos_db_query_items, acosmos_db_query_items = twin_tasks(_query_items, "cosmos_db_query_items")
cosmos_db_read_item, acosmos_db_read_item = twin_tasks(_read_item, "cosmos_db_read_item")
cosmos_db_create_item, acosmos_db_create_item = twin_tasks(_create_item, "cosmos_db_create_item")
