"""How those who wait for something in the store may look for it: often where looking is cheap, as advised where it is a request."""

from __future__ import annotations

from headrace.client.interface import Client


def is_embedded(client: Client) -> bool:
    """Say whether `client` works on a store in this process, so that looking again costs next to nothing."""
    return hasattr(client, "database")
