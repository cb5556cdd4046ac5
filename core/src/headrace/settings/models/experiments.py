"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    ExperimentsSettings,
    PluginsSettings,
)

__all__ = [
    "ExperimentsSettings",
    "PluginsSettings",
]
