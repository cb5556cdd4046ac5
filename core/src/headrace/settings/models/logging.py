"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    LoggingSettings,
    LoggingToAPISettings,
)

__all__ = [
    "LoggingSettings",
    "LoggingToAPISettings",
]
