"""The documented place of the service that makes task runs of events."""

from headrace.server.services.passive import TaskRunRecorder

__all__ = ["TaskRunRecorder"]
