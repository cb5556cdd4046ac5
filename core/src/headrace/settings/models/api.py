"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    APISettings,
)

__all__ = [
    "APISettings",
]
