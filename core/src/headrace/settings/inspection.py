"""Looking at settings: what is in force and from where, who set a value, what is wrong. For command line and doctor."""

from __future__ import annotations

from typing import NamedTuple

from headrace.settings import in_force
from headrace.settings.context import get_current_settings
from headrace.settings.declaration import Declaration
from headrace.settings.environment import setting_variables
from headrace.settings.errors import InvalidSettingError
from headrace.settings.legacy import Setting
from headrace.settings.load import core_catalogue, gather, profile_layer, profiles_path, upper_layers
from headrace.settings.profiles_file import locked, read_profiles_file, rewrite
from headrace.settings.resolve import check, combine
from headrace.settings.sources import Layer, SourceKind, translations, unknown_names
from headrace.settings.values import MASK, to_json, to_text


class Line(NamedTuple):
    """One setting in force. `text` and `value` (for JSON) are masked if it is a secret, unless asked for."""

    name: str
    text: str
    value: object
    source: str
    where: str | None


class Mention(NamedTuple):
    """One source that sets a value: under which name, to what, and whether it is the one in force."""

    source: str
    where: str | None
    name: str
    text: str
    wins: bool


class Explanation(NamedTuple):
    """A setting and all that was said about it, highest source first."""

    setting: Setting
    line: Line
    mentions: list[Mention]


class Finding(NamedTuple):
    """Something that `validate` noticed; `is_error` for values that cannot be used."""

    is_error: bool
    message: str


def lines_in_force(*, show_defaults: bool = False, show_secrets: bool = False) -> list[Line]:
    """Return the settings in force by name; without `show_defaults` those that a source sets."""
    state = get_current_settings().state
    declared = core_catalogue().by_path
    lines = [_line(one, show_secrets=show_secrets) for path, one in declared.items() if show_defaults or path in state.found]
    for name, raw in state.free.items():
        text = to_text(raw.value)
        lines.append(Line(name, text, text, raw.source.kind.value, raw.source.where))
    return sorted(lines)


def explain(name: str, *, show_secrets: bool = False) -> Explanation:
    """Return what a setting is and every source that sets it. Raises `InvalidSettingError` for an unknown name."""
    declared = find_setting(name)
    chosen = in_force.profile_name()
    layers = gather(core_catalogue(), profile=chosen, profile_first=in_force.process.chosen_profile is not None)
    mentions: list[Mention] = []
    for layer in layers:
        raw = layer.values.get(declared.path)
        if raw is not None:
            text = MASK if declared.is_secret and not show_secrets else to_text(raw.value)
            mentions.append(Mention(raw.source.kind.value, raw.source.where, raw.name, text, wins=not mentions))
    return Explanation(Setting(declared), _line(declared, show_secrets=show_secrets), mentions)


def find_setting(name: str) -> Declaration:
    """Return the setting of a name: a variable with or without prefix, old or new, or a dotted path.

    Raises `InvalidSettingError` with the near names.
    """
    declared = core_catalogue().find(name)
    if declared is None:
        near = core_catalogue().near(name)
        raise InvalidSettingError(f"{name!r} is not a setting.{' ' + near if near else ''}")
    return declared


def findings() -> list[Finding]:
    """Check all sources: wrong values, names that no setting has, older names, advice. Raises `BrokenFileError`."""
    catalogue = core_catalogue()
    path = profiles_path()
    layers = upper_layers(catalogue)
    layers.append(profile_layer(in_force.profile_name(), path, catalogue))
    found = [Finding(False, unknown_names(layer, catalogue)) for layer in layers if layer.unknown]
    for layer in layers:
        found += [Finding(False, text) for text in (*_old_names(layer), *translations(layer, catalogue))]
    values, free = combine(layers)
    state, wrong = check(values, free, catalogue)
    found += [Finding(True, text) for text in wrong.values()]
    if not wrong:
        advice = [state.root.api.settings_advice(), state.root.server.database.settings_advice()]
        found += [Finding(False, text) for text in advice if text]
    return found


def rename_old_names() -> list[tuple[str, str]]:
    """Give settings of the profile in use their present names, where only the older one stands. Returns the pairs."""
    from headrace.settings.profiles import current_profile_name

    path = profiles_path()
    if not path.exists():
        return []
    with locked(path):
        file = read_profiles_file(path)
        name = current_profile_name()
        values = file.profiles.get(name, {})
        catalogue = core_catalogue()
        renamed: list[tuple[str, str]] = []
        for old in values:
            declared = catalogue.by_variable.get(old)
            if declared is not None and old != declared.variable and declared.variable not in values:
                renamed.append((old, declared.variable))
        if renamed:
            changes: dict[str, dict[str, str]] = {profile: {} for profile in file.profiles}
            changes[name] = {new: to_text(values[old]) for old, new in renamed}
            rewrite(path, file.active, changes, {name: {old for old, _ in renamed}})
    return renamed


def set_in_environment(declared: Declaration) -> str | None:
    """Return the environment variable that sets this, under any of its names: it wins over the profile."""
    variables = setting_variables()
    return next((name for name in (declared.variable, *declared.aliases) if name in variables), None)


def _line(declared: Declaration, *, show_secrets: bool) -> Line:
    state = get_current_settings().state
    value = state.value(declared)
    source = state.source(declared)
    if declared.is_secret and value is not None and not show_secrets:
        return Line(declared.variable, MASK, MASK, source.kind.value, source.where)
    text = "" if value is None else to_text(value)
    return Line(declared.variable, text, to_json(value, include_secrets=True), source.kind.value, source.where)


def _old_names(layer: Layer) -> list[str]:
    """Return a sentence for each value that stands under an older variable name. Files have paths, not variables."""
    if layer.is_translated or layer.source.kind in (SourceKind.TOML, SourceKind.PYPROJECT):
        return []
    by_path = core_catalogue().by_path
    return [
        f"{raw.name} (in {layer.source}) is an older name of {by_path[path].variable}."
        for path, raw in layer.values.items()
        if raw.name != by_path[path].variable
    ]
