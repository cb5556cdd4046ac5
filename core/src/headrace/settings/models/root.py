"""The documented place of these groups of settings."""

from headrace.settings.tree.root import (
    Settings,
    canonical_environment_prefix,
)

__all__ = [
    "Settings",
    "canonical_environment_prefix",
]
