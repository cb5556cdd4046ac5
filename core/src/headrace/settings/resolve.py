"""From layers of raw values to one checked set: who wins, what `$HEADRACE_X` stands for, what is wrong and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from headrace.settings.declaration import Catalogue, Declaration
from headrace.settings.errors import InvalidSettingError
from headrace.settings.sources import Layer, Raw, Source, SourceKind
from headrace.settings.values import BrokenRule, parse, to_text

if TYPE_CHECKING:
    from headrace.settings.tree.root import Settings

_REFERENCE = r"\$(?:\{(HEADRACE_[A-Z0-9_]+)\}|(HEADRACE_[A-Z0-9_]+))"
DEFAULTS = Source(SourceKind.DEFAULTS)


class Found(NamedTuple):
    """The value of a setting that some source sets, and what was written there."""

    value: object
    raw: Raw


class State:
    """The checked values of one tree. All groups of the tree look at the same state; what is not here is a default."""

    def __init__(self, found: dict[str, Found], free: Mapping[str, Raw]) -> None:
        self.found = found
        self.free = free

    @cached_property
    def root(self) -> Settings:
        """The tree over these values, which computed defaults are taken from."""
        from headrace.settings.tree.root import Settings

        return Settings.over(self)

    def value(self, declared: Declaration) -> object:
        """Return the value of a setting, or its default."""
        found = self.found.get(declared.path)
        return found.value if found else declared.default_in(self.root)

    def source(self, declared: Declaration) -> Source:
        """Return where the value of a setting comes from."""
        found = self.found.get(declared.path)
        return found.raw.source if found else DEFAULTS

    def free_texts(self) -> dict[str, str]:
        """Return the variables that plugins and the logging configuration read, as text."""
        return {name: to_text(raw.value) for name, raw in self.free.items()}

    def __getstate__(self) -> dict[str, object]:
        return {"found": self.found, "free": dict(self.free)}


def combine(layers: Iterable[Layer]) -> tuple[dict[str, Raw], dict[str, Raw]]:
    """Return the winning raw values by path, and the free variables; `layers` has the highest first."""
    values: dict[str, Raw] = {}
    free: dict[str, Raw] = {}
    for layer in layers:
        for path, raw in layer.values.items():
            values.setdefault(path, raw)
        for name, raw in layer.free.items():
            free.setdefault(name, raw)
    return values, free


def resolve(values: Mapping[str, Raw], free: Mapping[str, Raw], catalogue: Catalogue) -> State:
    """Check every value that is set. Raises one `InvalidSettingError` with a line for each that is wrong."""
    state, wrong = check(values, free, catalogue)
    if wrong:
        raise InvalidSettingError("\n".join(wrong.values()))
    return state


def check(values: Mapping[str, Raw], free: Mapping[str, Raw], catalogue: Catalogue) -> tuple[State, dict[str, str]]:
    """Return the values that are right, and a line for each that is wrong by its path."""
    resolution = _Resolution(values, free, catalogue)
    resolution.run()
    return State(resolution.state.found, free), resolution.wrong


class _Resolution:
    def __init__(self, values: Mapping[str, Raw], free: Mapping[str, Raw], catalogue: Catalogue) -> None:
        self.values = values
        self.catalogue = catalogue
        self.state = State({}, free)
        self.busy: list[str] = []
        self.wrong: dict[str, str] = {}

    def run(self) -> None:
        # Values without references first: what references point to, and defaults computed from them, is known then.
        for path in sorted(self.values, key=self._has_reference):
            self._settle(path)
        if self.wrong:
            return
        for path in self.values:
            owner = self.catalogue.by_path[path].owner
            problem = owner.over(self.state).settings_problem() if owner else None
            if problem and problem not in self.wrong.values():
                self.wrong[path] = problem

    def _has_reference(self, path: str) -> bool:
        raw = self.values[path].value
        return isinstance(raw, str) and "$" in raw and re.search(_REFERENCE, raw) is not None

    def _settle(self, path: str) -> None:
        if path in self.state.found or path in self.wrong:
            return
        raw = self.values[path]
        declared = self.catalogue.by_path[path]
        self.busy.append(path)
        try:
            value = raw.value
            if isinstance(value, str) and "$" in value:
                value = re.sub(_REFERENCE, lambda match: self._referred(match, declared), value)
            self.state.found[path] = Found(parse(declared, value), raw)
        except BrokenRule as rule:
            self.wrong[path] = wrong_value(declared, raw, str(rule))
        finally:
            self.busy.pop()

    def _referred(self, match: re.Match[str], declared: Declaration) -> str:
        other = self.catalogue.by_variable.get(match[1] or match[2])
        if other is None:
            return match[0]
        if other.path in self.busy:
            raise BrokenRule(f"should not refer to itself ({' → '.join([*self.busy, other.path])})")
        if other.is_secret and not declared.is_secret:
            raise BrokenRule(f"should not refer to {other.variable}, which is a secret and would be shown here")
        if other.path in self.values:
            self._settle(other.path)
            if other.path in self.wrong:
                raise BrokenRule(f"should refer to a valid setting, and {other.variable} is not")
        value = State(self.state.found, {}).value(other)
        return "" if value is None else to_text(value)


def wrong_value(declared: Declaration, raw: Raw, rule: str) -> str:
    """Return the line that tells what is wrong with a value: name, value unless secret, source, rule."""
    name = raw.name if raw.name != declared.path else f"{declared.path} ({declared.variable})"
    shown = "has a value that cannot be used" if declared.is_secret else f"is {raw.value!r}"
    return f"{name} {shown} (from {raw.source}), but it {rule}."
