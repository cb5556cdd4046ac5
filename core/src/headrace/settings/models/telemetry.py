"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    TelemetrySettings,
)

__all__ = [
    "TelemetrySettings",
]
