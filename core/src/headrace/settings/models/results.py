"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    ResultsSettings,
)

__all__ = [
    "ResultsSettings",
]
