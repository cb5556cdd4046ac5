"""The client of the orchestration API."""

from headrace.client.api_client import HeadraceClient, SyncHeadraceClient, get_client

__all__ = ["HeadraceClient", "SyncHeadraceClient", "get_client"]
