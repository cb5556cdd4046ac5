"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerDocketSettings,
)

__all__ = [
    "ServerDocketSettings",
]
