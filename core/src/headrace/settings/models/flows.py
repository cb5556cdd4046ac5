"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    FlowsSettings,
)

__all__ = [
    "FlowsSettings",
]
