"""Reading and resolving settings. The one room that looks at the environment and at configuration files.

Importing it reads nothing. Every setting is also a constant here, made when asked for: `HEADRACE_API_URL.value()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.settings.context import (
    SettingsContext,
    get_current_settings,
    get_profile_context,
    get_settings_context,
    refresh_global_settings_context,
    root_settings_context,
    start_with_profile,
    temporary_settings,
    use_profile,
)

if TYPE_CHECKING:
    from headrace.settings.legacy import Setting
    from headrace.settings.profiles import (
        Profile,
        ProfilesCollection,
        load_current_profile,
        load_profile,
        load_profiles,
        save_profiles,
        update_current_profile,
    )
    from headrace.settings.tree.root import Settings

__all__ = [
    "Profile",
    "ProfilesCollection",
    "Setting",
    "Settings",
    "SettingsContext",
    "get_current_settings",
    "get_profile_context",
    "get_settings_context",
    "load_current_profile",
    "load_profile",
    "load_profiles",
    "refresh_global_settings_context",
    "root_settings_context",
    "save_profiles",
    "start_with_profile",
    "temporary_settings",
    "update_current_profile",
    "use_profile",
]


def __getattr__(name: str) -> Any:
    if name.startswith("HEADRACE_"):
        from headrace.settings import legacy

        return legacy.constant(name)
    if name == "Settings":
        from headrace.settings.tree.root import Settings

        return Settings
    if name == "Setting":
        from headrace.settings.legacy import Setting

        return Setting
    if name in __all__:
        from headrace.settings import profiles

        return getattr(profiles, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
