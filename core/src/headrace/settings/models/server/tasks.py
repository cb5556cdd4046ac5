"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerTasksSchedulingSettings,
    ServerTasksSettings,
)

__all__ = [
    "ServerTasksSchedulingSettings",
    "ServerTasksSettings",
]
