"""The documented place of the service that logs events."""

from headrace.server.services.event_logger import EventLogger

__all__ = ["EventLogger"]
