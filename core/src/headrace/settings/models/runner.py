"""The documented place of these groups of settings."""

from headrace.settings.tree.infrastructure import (
    RunnerServerSettings,
    RunnerSettings,
)

__all__ = [
    "RunnerServerSettings",
    "RunnerSettings",
]
