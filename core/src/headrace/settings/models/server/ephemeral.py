"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerEphemeralSettings,
)

__all__ = [
    "ServerEphemeralSettings",
]
