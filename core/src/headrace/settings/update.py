"""Changed copies of resolved settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headrace.settings.declaration import Catalogue, is_free
from headrace.settings.errors import InvalidSettingError
from headrace.settings.load import core_catalogue
from headrace.settings.resolve import State, resolve
from headrace.settings.sources import Raw, Source, SourceKind

if TYPE_CHECKING:
    from headrace.settings.legacy import Changes, Setting

ARGUMENTS = Source(SourceKind.ARGUMENTS)


def updated(
    state: State,
    updates: Changes,
    set_defaults: Changes,
    restore_defaults: Iterable[Setting | str],
    source: Source = ARGUMENTS,
) -> State:
    """Return a state with changes, checked anew so that references follow. Raises `InvalidSettingError`."""
    catalogue = core_catalogue()
    values = {path: found.raw for path, found in state.found.items()}
    free = dict(state.free)
    for key in restore_defaults:
        name = _name(key, catalogue)
        values.pop(name, None)
        free.pop(name, None)
    for key, value in set_defaults.items():
        name = _name(key, catalogue)
        (free if is_free(name) else values).setdefault(name, Raw(value, source, str(key)))
    for key, value in updates.items():
        name = _name(key, catalogue)
        (free if is_free(name) else values)[name] = Raw(value, source, str(key))
    return resolve(values, free, catalogue)


def _name(key: Setting | str, catalogue: Catalogue) -> str:
    """Return the path of a setting, or the name of a free variable."""
    text = str(key)
    declared = catalogue.find(text)
    if declared is not None:
        return declared.path
    if is_free(text):
        return text
    near = catalogue.near(text)
    raise InvalidSettingError(f"{text!r} is not a setting.{' ' + near if near else ''}")
