"""Profiles: named sets of settings in one file. What they mean and how they change; `profiles_file` does the writing."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.model.errors import ConfigurationError, ProfileSettingsValidationError
from headrace.settings import in_force
from headrace.settings.declaration import is_free
from headrace.settings.legacy import Changes, Setting, constant
from headrace.settings.load import active_name, core_catalogue, missing_profile, profiles_path
from headrace.settings.profiles_file import (
    BUILT_IN_PROFILES,
    DEFAULT_PROFILE,
    ProfilesFile,
    locked,
    read_profiles_file,
    rename_table,
    rewrite,
    rewritten,
    text_of,
    write_text,
)
from headrace.settings.resolve import check
from headrace.settings.sources import Layer, Source, SourceKind, layer_of
from headrace.settings.values import to_text

Key = Setting | str


@dataclass
class Profile:
    """A name and the settings it stands for. Keys may be given as names; free variables stay names.

    `source` is the file it was read from; None for a built-in or a new one. Raises
    `ProfileSettingsValidationError` for names that no setting has.
    """

    name: str
    settings: dict[Key, Any] = field(default_factory=dict[Key, Any])
    source: Path | None = None

    def __post_init__(self) -> None:
        self.settings = {_key(key): value for key, value in self.settings.items()}

    def to_environment_variables(self) -> dict[str, str]:
        """Return the settings as variables; those set to None are left out."""
        return {str(key): to_text(value) for key, value in self.settings.items() if value is not None}

    def validate_settings(self) -> None:
        """Check every value. Raises `ProfileSettingsValidationError` with the settings that are wrong and why."""
        _, wrong = check(self.layer().values, {}, core_catalogue())
        if wrong:
            by_path = core_catalogue().by_path
            raise ProfileSettingsValidationError([(Setting(by_path[path]), line) for path, line in wrong.items()])

    def layer(self) -> Layer:
        """Return the profile as a source of settings."""
        texts = {str(key): value for key, value in self.settings.items() if value is not None}
        return layer_of(Source(SourceKind.PROFILE, self.name), texts, core_catalogue())


def _key(key: Key) -> Key:
    if isinstance(key, Setting) or is_free(key):
        return key
    declared = core_catalogue().find(key)
    if declared is None:
        raise ProfileSettingsValidationError([(key, f"Not a setting. {core_catalogue().near(key)}".strip())])
    return Setting(declared)


class ProfilesCollection:
    """Profiles with unique names, one of which may be active."""

    def __init__(self, profiles: Iterable[Profile], active: str | None = None) -> None:
        self.profiles_by_name = {profile.name: profile for profile in profiles}
        self.active_name = active

    @property
    def names(self) -> set[str]:
        """The names of the profiles."""
        return set(self.profiles_by_name)

    @property
    def active_profile(self) -> Profile | None:
        """The active profile, if one is active and present."""
        return None if self.active_name is None else self.profiles_by_name.get(self.active_name)

    def set_active(self, name: str | None, check: bool = True) -> None:
        """Make a profile the active one; None makes none active. Raises `MissingProfileError` unless `check` is off."""
        if check and name is not None and name not in self.profiles_by_name:
            raise missing_profile(name, self.names)
        self.active_name = name

    def add_profile(self, profile: Profile) -> None:
        """Add a profile. Raises `ValueError` if there is one of that name, built-in ones aside."""
        present = self.profiles_by_name.get(profile.name)
        if present is not None and not is_built_in(present):
            raise ValueError(f"Profile {profile.name!r} exists already. Choose another name, or change that profile.")
        self.profiles_by_name[profile.name] = profile

    def update_profile(self, name: str, settings: Changes, source: Path | None = None) -> Profile:
        """Merge settings into a profile, made if it does not exist. A value of None removes the setting."""
        present = self.profiles_by_name.get(name)
        merged = dict(present.settings) if present else {}
        for key, value in settings.items():
            merged[_key(key)] = value
        kept = {key: value for key, value in merged.items() if value is not None}
        profile = Profile(name, kept, source or (present.source if present else None))
        self.profiles_by_name[name] = profile
        return profile

    def remove_profile(self, name: str) -> None:
        """Remove a profile. Raises `MissingProfileError`."""
        self[name]
        del self.profiles_by_name[name]

    def without_profile_source(self, path: Path | None) -> ProfilesCollection:
        """Return a collection without the profiles that were read from `path`."""
        kept = [profile for profile in self if profile.source != path]
        active = self.active_name if any(profile.name == self.active_name for profile in kept) else None
        return ProfilesCollection(kept, active)

    def to_dict(self) -> dict[str, Any]:
        """Return the collection as the file holds it."""
        profiles = {profile.name: profile.to_environment_variables() for profile in self}
        return {"active": self.active_name, "profiles": profiles}

    def items(self) -> list[tuple[str, Profile]]:
        """Return names and profiles."""
        return list(self.profiles_by_name.items())

    def __getitem__(self, name: str) -> Profile:
        profile = self.profiles_by_name.get(name)
        if profile is None:
            raise missing_profile(name, self.names)
        return profile

    def __iter__(self) -> Iterator[Profile]:
        return iter(self.profiles_by_name.values())

    def __contains__(self, name: object) -> bool:
        return name in self.profiles_by_name

    def __len__(self) -> int:
        return len(self.profiles_by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProfilesCollection) and other.to_dict() == self.to_dict()

    __hash__ = None  # type: ignore[assignment]  # mutable


def is_built_in(profile: Profile) -> bool:
    """True for a built-in profile that no user's profile has replaced."""
    return profile.source is None and BUILT_IN_PROFILES.get(profile.name) == profile.to_environment_variables()


def load_profiles(include_defaults: bool = True) -> ProfilesCollection:
    """Read the profiles of the file, above the built-in ones unless those are unwanted. Raises `BrokenFileError`."""
    return _collection(read_profiles_file(profiles_path()), include_defaults)


def load_profile(name: str) -> Profile:
    """Read one profile. Raises `MissingProfileError`."""
    return load_profiles()[name]


def current_profile_name() -> str:
    """Return the name of the profile in use: of the context or the command line, else variable, file, default."""
    return in_force.profile_name() or active_name(read_profiles_file(profiles_path()))


def load_current_profile() -> Profile:
    """Read the profile in use, as it is in the file. Raises `MissingProfileError`."""
    file = read_profiles_file(profiles_path())
    name = in_force.profile_name() or active_name(file)
    profiles = _collection(file, include_defaults=True)
    if name not in profiles:
        raise missing_profile(name, profiles.names, file)
    return profiles[name]


def save_profiles(profiles: ProfilesCollection) -> None:
    """Make the file hold these profiles, and no others, keeping comments. Built-in ones are left out."""
    path = profiles_path()
    with locked(path):
        _save(profiles, path)


@contextmanager
def editing_profiles() -> Generator[ProfilesCollection]:
    """Give the profiles to be changed, and save them when the block ends well. Other processes wait meanwhile."""
    path = profiles_path()
    with locked(path):
        profiles = _collection(read_profiles_file(path), include_defaults=True)
        yield profiles
        _save(profiles, path)


def update_current_profile(settings: Changes) -> Profile:
    """Merge settings into the profile in use and save it; None removes a setting. Nothing is saved if one is wrong.

    Raises `ProfileSettingsValidationError`, and `ConfigurationError` for a setting that decides where profiles are.
    """
    with editing_profiles() as profiles:
        name = in_force.profile_name() or active_name(read_profiles_file(profiles_path()))
        if name not in profiles:
            raise missing_profile(name, profiles.names)
        for key, value in settings.items():
            if value is not None and str(_key(key)) in ("HEADRACE_HOME", "HEADRACE_PROFILES_PATH"):
                raise ConfigurationError(f"{_key(key)} decides where profiles are kept, so it cannot be in one. Set the environment variable.")
        changed = profiles.update_profile(name, settings)
        changed_keys = {_key(key) for key in settings}
        Profile(name, {key: value for key, value in changed.settings.items() if key in changed_keys}).validate_settings()
    return changed


def rename_profile(name: str, new_name: str) -> None:
    """Rename a profile of the file; it stays active if it was. Raises `MissingProfileError`, `ValueError`."""
    path = profiles_path()
    with locked(path):
        file = read_profiles_file(path)
        if name not in file.profiles:
            if name in BUILT_IN_PROFILES:
                raise ConfigurationError(f"Profile {name!r} is built in, so it cannot be renamed. Create one from it.")
            raise missing_profile(name, set(file.profiles))
        if new_name in file.profiles:
            raise ValueError(f"Profile {new_name!r} exists already. Choose another name.")
        rename_table(path, name, new_name)


def populate_defaults(*, write: bool) -> str:
    """Return, as a unified diff, what adding the built-in profiles to the file changes; profiles in it stay.

    With `write` the file is changed, and what it was is kept beside it with the ending `.bak`.
    """
    from difflib import unified_diff

    path = profiles_path()
    with locked(path):
        file = read_profiles_file(path)
        before = text_of(path)
        added = {name: dict(values) for name, values in BUILT_IN_PROFILES.items() if name not in file.profiles}
        present: dict[str, dict[str, str]] = {name: {} for name in file.profiles}
        after = rewritten(before, file.active or DEFAULT_PROFILE, {**present, **added}, {})
        if write and after != before:
            if before:
                write_text(path.with_name(path.name + ".bak"), before)
            write_text(path, after)
    lines = unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm="")
    return "\n".join(lines)


def _collection(file: ProfilesFile, include_defaults: bool) -> ProfilesCollection:
    profiles = {name: Profile(name, {**values}) for name, values in BUILT_IN_PROFILES.items() if include_defaults}
    for name, values in file.profiles.items():
        profiles[name] = _profile_of(name, values, file.path)
    return ProfilesCollection(profiles.values(), file.active or (DEFAULT_PROFILE if include_defaults else None))


def _profile_of(name: str, values: Mapping[str, object], path: Path) -> Profile:
    """Make a profile of what the file says. Names of no setting stay in the file and are not part of the profile."""
    layer = layer_of(Source(SourceKind.PROFILE, name), values, core_catalogue())
    settings: dict[Key, Any] = {Setting(core_catalogue().by_path[key]): raw.value for key, raw in layer.values.items()}
    return Profile(name, {**settings, **{key: raw.value for key, raw in layer.free.items()}}, path)


def _save(profiles: ProfilesCollection, path: Path) -> None:
    file = read_profiles_file(path)
    changes: dict[str, dict[str, str]] = {}
    dropped: dict[str, set[str]] = {}
    for profile in profiles:
        if profile.name not in file.profiles and is_built_in(profile):
            continue
        wanted = profile.to_environment_variables()
        present = _profile_of(profile.name, file.profiles.get(profile.name, {}), path).to_environment_variables()
        changed = {name: text for name, text in wanted.items() if present.get(name) != text}
        changes[profile.name] = changed
        dropped[profile.name] = set()
        for name in {*changed, *(present.keys() - wanted.keys())}:
            dropped[profile.name].update(_other_spellings(name, keep=name in changed))
    unchanged = profiles.active_name == (file.active or DEFAULT_PROFILE)
    rewrite(path, file.active if unchanged else profiles.active_name, changes, dropped)


def _other_spellings(name: str, *, keep: bool) -> set[str]:
    """Return the names under which a setting may stand in the file: the old ones, and its own unless that is kept."""
    if is_free(name):
        return set() if keep else {name}
    declared = constant(name).declared
    return {*declared.aliases} if keep else {declared.variable, *declared.aliases}
