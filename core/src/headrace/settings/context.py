"""The settings in force, and changing them for a while. Changes follow context variables, so each task has its own."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace.settings import in_force

if TYPE_CHECKING:
    from contextvars import Token
    from typing import Self

    from headrace.settings.legacy import Changes, Setting
    from headrace.settings.profiles import Profile
    from headrace.settings.tree.root import Settings


class SettingsContext:
    """Settings and the profile that they come from. As a context manager it puts them in force."""

    def __init__(self, settings: Settings, profile: Profile | None = None, profile_name: str | None = None) -> None:
        self.settings = settings
        self.profile_name = profile.name if profile else profile_name
        self._tokens: list[Token[SettingsContext | None]] = []
        if profile is not None:
            self.__dict__["profile"] = profile

    @cached_property
    def profile(self) -> Profile:
        """The profile in use; read from the file when it is first asked for."""
        from headrace.settings.profiles import load_current_profile, load_profile

        return load_profile(self.profile_name) if self.profile_name else load_current_profile()

    @classmethod
    def get(cls) -> SettingsContext | None:
        """Return the context in force: the innermost one, else that of the process if its settings were read."""
        return in_force.override.get() or in_force.process.context

    def __enter__(self) -> Self:
        self._tokens.append(in_force.override.set(self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        in_force.override.reset(self._tokens.pop())

    def __repr__(self) -> str:
        return f"SettingsContext(profile={self.profile_name!r}, settings={self.settings!r})"


def get_current_settings() -> Settings:
    """Return the settings in force: of the innermost context, else those that the process started with.

    The first call reads environment, files and profile, and may raise `InvalidSettingError`, `BrokenFileError` or
    `MissingProfileError`; later calls cost nothing and do not look at the environment again.
    """
    active = in_force.override.get()
    if active is None:
        active = in_force.process.context or root_settings_context()
    return active.settings


def get_settings_context() -> SettingsContext:
    """Return the settings in force with their profile."""
    return in_force.override.get() or root_settings_context()


def get_profile_context() -> SettingsContext:
    """Return the context of the profile in use; it is the settings' context."""
    return get_settings_context()


def root_settings_context() -> SettingsContext:
    """Return the settings of the process, read at the first call. The profile is the one chosen by
    `start_with_profile`, else by `HEADRACE_PROFILE`, else the active one of the file."""
    present = in_force.process.context
    if present is not None:
        return present
    from headrace.settings.load import load
    from headrace.settings.tree.root import Settings

    chosen = in_force.process.chosen_profile
    settings = Settings.over(load(profile=chosen, profile_first=chosen is not None))
    for group in (settings.api, settings.server.database):
        advice = group.settings_advice()
        if advice:
            warnings.warn(advice, stacklevel=2)
    context = SettingsContext(settings, profile_name=chosen)
    in_force.process.context = context
    return context


def refresh_global_settings_context() -> None:
    """Forget the settings of the process, so that the next read sees environment and files as they are then."""
    in_force.process.context = None


def start_with_profile(name: str) -> SettingsContext:
    """Use a profile for the whole process, above environment variables: what `headrace --profile NAME` does.

    Raises `MissingProfileError` with the names near to it; the process then keeps what it had.
    """
    before = in_force.process.chosen_profile, in_force.process.context
    in_force.process.chosen_profile, in_force.process.context = name, None
    try:
        return root_settings_context()
    except BaseException:
        in_force.process.chosen_profile, in_force.process.context = before
        raise


@contextmanager
def temporary_settings(
    updates: Changes | None = None,
    set_defaults: Changes | None = None,
    restore_defaults: Iterable[Setting | str] | None = None,
) -> Generator[Settings]:
    """Change settings while the block runs; blocks nest. See `Settings.copy_with_update` for the arguments.

    Example: `with temporary_settings({HEADRACE_API_URL: "http://127.0.0.1:4200/api"}): ...`
    """
    current = get_settings_context()
    changed = current.settings.copy_with_update(updates, set_defaults, restore_defaults)
    with SettingsContext(changed, profile_name=current.profile_name):
        yield changed


@contextmanager
def use_profile(
    profile: Profile | str, override_environment_variables: bool = False, include_current_context: bool = True
) -> Generator[SettingsContext]:
    """Put a profile in force while the block runs.

    Environment variables and files in the working directory win over it, unless `override_environment_variables`.
    What it leaves open is taken from the settings in force, or without `include_current_context` from environment
    and defaults. Raises `MissingProfileError`.
    """
    from headrace.settings.load import ProfileValues, load
    from headrace.settings.profiles import load_profile
    from headrace.settings.sources import Source, SourceKind
    from headrace.settings.tree.root import Settings
    from headrace.settings.update import updated

    chosen = load_profile(profile) if isinstance(profile, str) else profile
    state = get_current_settings().state if include_current_context else load(profile=ProfileValues(chosen.name, {}))
    above = (SourceKind.ENVIRONMENT, SourceKind.DOTENV, SourceKind.TOML, SourceKind.PYPROJECT)
    layer = chosen.layer()
    updates: dict[Setting | str, Any] = {name: raw.value for name, raw in layer.free.items()}
    for path, raw in layer.values.items():
        found = state.found.get(path)
        if override_environment_variables or found is None or found.raw.source.kind not in above:
            updates[path] = raw.value
    source = Source(SourceKind.PROFILE, chosen.name)
    with SettingsContext(Settings.over(updated(state, updates, {}, (), source)), chosen) as context:
        yield context
