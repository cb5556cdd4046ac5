"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    InternalSettings,
)

__all__ = [
    "InternalSettings",
]
