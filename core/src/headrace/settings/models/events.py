"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    EventsSettings,
)

__all__ = [
    "EventsSettings",
]
