"""The documented place of these groups of settings."""

from headrace.settings.tree.infrastructure import (
    WorkerSettings,
    WorkerWebserverSettings,
)

__all__ = [
    "WorkerSettings",
    "WorkerWebserverSettings",
]
