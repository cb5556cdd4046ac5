"""Which settings are in force: those of the context, else those of the process. Holds them; `context` makes them."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.settings.context import SettingsContext

override: ContextVar[SettingsContext | None] = ContextVar("headrace_settings", default=None)


class Process:
    """What holds for the whole process: the settings, once read, and a profile that was chosen for it."""

    __slots__ = ("chosen_profile", "context")

    def __init__(self) -> None:
        self.context: SettingsContext | None = None
        self.chosen_profile: str | None = None


process = Process()


def profile_name() -> str | None:
    """Return the name of the profile that this context or process was told to use; None leaves it to file and variable."""
    active = override.get()
    if active is not None and active.profile_name is not None:
        return active.profile_name
    return process.chosen_profile
