"""What blocks for buckets and containers are written with."""

from headrace.objects.stores.block import ObjectStoreBlock
from headrace.objects.stores.drivers import (
    ObjectNotFound,
    ObjectStoreDriver,
    ObjectStoreError,
    Progress,
    StoredObject,
    TransferError,
    TransferStopped,
)

__all__ = [
    "ObjectNotFound",
    "ObjectStoreBlock",
    "ObjectStoreDriver",
    "ObjectStoreError",
    "Progress",
    "StoredObject",
    "TransferError",
    "TransferStopped",
]
