"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerEventsSettings,
)

__all__ = [
    "ServerEventsSettings",
]
