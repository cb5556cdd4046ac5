"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    DeploymentsSettings,
)

__all__ = [
    "DeploymentsSettings",
]
