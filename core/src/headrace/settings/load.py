"""Reading all sources in their order, the active profile included. The only module that puts sources together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from headrace.model.errors import MissingProfileError, near
from headrace.settings.declaration import Catalogue, Group, walk
from headrace.settings.environment import reads_prefect, selected_profile
from headrace.settings.errors import InvalidSettingError
from headrace.settings.profiles_file import BUILT_IN_PROFILES, DEFAULT_PROFILE, ProfilesFile, read_profiles_file
from headrace.settings.resolve import State, combine, resolve
from headrace.settings.sources import (
    Layer,
    Source,
    SourceKind,
    arguments_layer,
    environment_layer,
    file_layers,
    layer_of,
    translations,
    unknown_names,
)

# Settings that decide which profile is read, so they cannot stand in one.
ABOVE_PROFILES = ("home", "profiles_path")
_NEEDED_FOR_PROFILES = (*ABOVE_PROFILES, "testing.test_mode")
_CHECKED_KINDS = (SourceKind.TOML, SourceKind.PYPROJECT, SourceKind.PROFILE)


class ProfileValues(NamedTuple):
    """A profile as a source: its name and what it sets, by variable."""

    name: str
    values: Mapping[str, object]


@cache
def core_catalogue() -> Catalogue:
    """Return the declarations of the whole tree."""
    from headrace.settings.tree.root import Settings

    return Catalogue(Settings)


def load(
    arguments: Mapping[str, Any] | None = None,
    *,
    group: type[Group] | None = None,
    profile: ProfileValues | str | None = None,
    profile_first: bool = False,
) -> State:
    """Read every source and return the checked values.

    `arguments` belong to `group` (the whole tree when not given). `profile` is used instead of the active one;
    `profile_first` lets it win over environment and files. Raises `InvalidSettingError`, `BrokenFileError` or
    `MissingProfileError`. Warns of names in files that no setting has.
    """
    path = group.settings_path if group else ""
    core = core_catalogue()
    own = group is not None and any(declared.path not in core.by_path for declared in walk(group))
    catalogue = Catalogue(core_root(), group) if own and group else core
    layers = gather(catalogue, arguments or {}, path, profile=profile, profile_first=profile_first)
    for layer in layers:
        if layer.unknown and layer.source.kind in _CHECKED_KINDS:
            warnings.warn(unknown_names(layer, catalogue), stacklevel=3)
        for text in translations(layer, catalogue):
            warnings.warn(text, stacklevel=3)
    return resolve(*combine(layers), catalogue)


def core_root() -> type[Group]:
    """Return the class at the root of the tree."""
    from headrace.settings.tree.root import Settings

    return Settings


def gather(
    catalogue: Catalogue,
    arguments: Mapping[str, Any] | None = None,
    path: str = "",
    *,
    profile: ProfileValues | str | None = None,
    profile_first: bool = False,
) -> list[Layer]:
    """Return the layers of all sources, highest first."""
    upper = upper_layers(catalogue)
    given = arguments_layer(arguments, catalogue, path) if arguments else None
    before = [given, *upper] if given else upper
    early = resolve_some(before, _NEEDED_FOR_PROFILES, catalogue)
    layer = None
    if profile is not None or not early.root.testing.test_mode:
        layer = profile_layer(profile, early.root.profiles_path, catalogue)
    below = [layer] if layer else []
    lower = [*below, *upper] if profile_first else [*upper, *below]
    return [given, *lower] if given else lower


def upper_layers(catalogue: Catalogue) -> list[Layer]:
    """Return the layers above profiles: environment and files, then what was named for Prefect if that is wanted."""
    layers = [environment_layer(catalogue), *file_layers(catalogue)]
    if reads_prefect():
        from headrace.settings.compat import prefect_layers

        layers += prefect_layers(catalogue)
    return layers


def resolve_some(layers: list[Layer], paths: tuple[str, ...], catalogue: Catalogue) -> State:
    """Check only the settings at `paths`, for what must be known before the rest can be read."""
    values, _ = combine(layers)
    return resolve({path: values[path] for path in paths if path in values}, {}, catalogue)


def profiles_path() -> Path:
    """Return where the profiles are kept, from environment and files alone. Reads no profile."""
    catalogue = core_catalogue()
    layers = upper_layers(catalogue)
    return resolve_some(layers, ABOVE_PROFILES, catalogue).root.profiles_path


def profile_layer(profile: ProfileValues | str | None, path: Path, catalogue: Catalogue) -> Layer:
    """Make the layer of a profile: the one given, the one named, or else the active one."""
    if not isinstance(profile, ProfileValues):
        file = read_profiles_file(path)
        name = profile or active_name(file)
        profile = ProfileValues(name, values_of(name, file))
    layer = layer_of(Source(SourceKind.PROFILE, profile.name), profile.values, catalogue)
    layer.values = {path: raw for path, raw in layer.values.items() if raw.value not in ("", None)}
    for forbidden in ABOVE_PROFILES:
        if forbidden in layer.values:
            name = layer.values[forbidden].name
            raise InvalidSettingError(
                f"Profile {profile.name!r} sets {name}, which decides where profiles are kept. "
                f"Remove it with `headrace config unset {name}` and set the environment variable instead."
            )
    return layer


def active_name(file: ProfilesFile) -> str:
    """Return the name of the profile in force: `HEADRACE_PROFILE`, else `active` in the file, else the built-in one."""
    return selected_profile() or file.active or DEFAULT_PROFILE


def values_of(name: str, file: ProfilesFile) -> Mapping[str, object]:
    """Return what a profile of the file, or a built-in one, sets. Raises `MissingProfileError`."""
    values = file.profiles.get(name, BUILT_IN_PROFILES.get(name))
    if values is None:
        raise missing_profile(name, {*file.profiles, *BUILT_IN_PROFILES}, file)
    return values


def missing_profile(name: str, choices: set[str], file: ProfilesFile | None = None) -> MissingProfileError:
    """Return the error for a profile that does not exist; it tells who asked for it and which names are near."""
    asked = ""
    if name == selected_profile():
        asked = " (named by HEADRACE_PROFILE)"
    elif file is not None and name == file.active:
        asked = f" (active in {file.path})"
    hint = near(name, choices) or "List the profiles with `headrace profile ls`."
    return MissingProfileError(f"Profile {name!r}{asked} does not exist. {hint}")
