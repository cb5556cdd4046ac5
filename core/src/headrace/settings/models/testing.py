"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    TestingSettings,
)

__all__ = [
    "TestingSettings",
]
