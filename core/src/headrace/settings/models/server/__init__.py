"""The documented place of these groups of settings."""

from headrace.settings.tree.server import ServerSettings

__all__ = ["ServerSettings"]
