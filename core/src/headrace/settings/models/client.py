"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    ClientMetricsSettings,
    ClientSettings,
)

__all__ = [
    "ClientMetricsSettings",
    "ClientSettings",
]
