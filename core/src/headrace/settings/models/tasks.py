"""The documented place of these groups of settings."""

from headrace.settings.tree.author import (
    TasksRunnerSettings,
    TasksSchedulingSettings,
    TasksSettings,
)

__all__ = [
    "TasksRunnerSettings",
    "TasksSchedulingSettings",
    "TasksSettings",
]
