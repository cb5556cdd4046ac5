"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerUISettings,
)

__all__ = [
    "ServerUISettings",
]
