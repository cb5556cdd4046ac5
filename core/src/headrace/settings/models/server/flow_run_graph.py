"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerFlowRunGraphSettings,
)

__all__ = [
    "ServerFlowRunGraphSettings",
]
