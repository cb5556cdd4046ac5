"""Where the running code is: contexts of runs, tags and settings."""

from headrace.engine.carried_context import with_context
from headrace.engine.context import (
    FlowRunContext,
    TagsContext,
    TaskRunContext,
    get_run_context,
    hydrated_context,
    serialize_context,
    tags,
)
from headrace.engine.context import FlowRunContext as EngineContext
from headrace.settings.context import (
    SettingsContext,
    get_profile_context,
    get_settings_context,
    refresh_global_settings_context,
    root_settings_context,
    use_profile,
)

__all__ = [
    "EngineContext",
    "FlowRunContext",
    "SettingsContext",
    "TagsContext",
    "TaskRunContext",
    "get_profile_context",
    "get_run_context",
    "get_settings_context",
    "hydrated_context",
    "refresh_global_settings_context",
    "root_settings_context",
    "serialize_context",
    "tags",
    "use_profile",
    "with_context",
]
