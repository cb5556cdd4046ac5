"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerDeploymentsSettings,
)

__all__ = [
    "ServerDeploymentsSettings",
]
