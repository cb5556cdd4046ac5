"""Settings as constants: `headrace.settings.HEADRACE_API_URL.value()`. They are made when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from headrace.settings.declaration import Declaration, Group
from headrace.settings.load import core_catalogue
from headrace.settings.resolve import State

if TYPE_CHECKING:
    from headrace.settings.tree.root import Settings


class Setting:
    """One setting by name; a key of `temporary_settings` and of a profile's settings."""

    __slots__ = ("declared",)

    def __init__(self, declared: Declaration) -> None:
        self.declared = declared

    @property
    def name(self) -> str:
        """The environment variable of the setting."""
        return self.declared.variable

    @property
    def is_secret(self) -> bool:
        """True for values that are masked wherever they are shown."""
        return self.declared.is_secret

    def default(self) -> Any:
        """Return the value that holds when no source sets one."""
        return _plain(self.declared.default_in(State({}, {}).root))

    def value(self) -> Any:
        """Return the value in force. A secret comes out as plain text."""
        from headrace.settings.context import get_current_settings

        return self.value_from(get_current_settings())

    def value_from(self, settings: Settings) -> Any:
        """Return the value in some settings. A secret comes out as plain text."""
        group: Group = settings
        for part in self.declared.group_path.split(".") if self.declared.group_path else ():
            group = getattr(group, part)
        return _plain(getattr(group, self.declared.name))

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{self.name}: {self.declared.type_text}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return constant, (self.name,)


# What is set to which value. Spelled out, because a mapping of settings is no mapping of settings or names.
Changes = Mapping[Setting, Any] | Mapping[str, Any] | Mapping[Setting | str, Any]


def _plain(value: Any) -> Any:
    secret = getattr(value, "get_secret_value", None)
    return value if secret is None else secret()


@cache
def constant(name: str) -> Setting:
    """Return the setting of a variable, by its present or an older name. Raises `AttributeError` with near names."""
    catalogue = core_catalogue()
    declared = catalogue.by_variable.get(name)
    if declared is None:
        near = catalogue.near(name)
        raise AttributeError(f"There is no setting {name}.{' ' + near if near else ''}")
    return Setting(declared)


def __getattr__(name: str) -> Setting:
    if name.startswith("HEADRACE_"):
        return constant(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
