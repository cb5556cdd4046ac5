"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    CLISettings,
)

__all__ = [
    "CLISettings",
]
