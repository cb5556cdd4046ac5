"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerLogsSettings,
)

__all__ = [
    "ServerLogsSettings",
]
