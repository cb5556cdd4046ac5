"""The documented place of the service that stores events."""

from headrace.server.services.passive import EventPersister

__all__ = ["EventPersister"]
