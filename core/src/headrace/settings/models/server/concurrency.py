"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerConcurrencySettings,
)

__all__ = [
    "ServerConcurrencySettings",
]
