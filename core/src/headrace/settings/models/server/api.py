"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerAPISettings,
)

__all__ = [
    "ServerAPISettings",
]
