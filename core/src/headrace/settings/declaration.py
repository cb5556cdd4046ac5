"""What a setting is: one declaration with its type, default and help, inside a group of the tree.

Nothing is read here. A group's attribute is computed at its first use and kept, so that unused groups cost nothing.
See `tree` for the declarations themselves, `resolve` for where the values come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

if TYPE_CHECKING:
    from typing import Self

    from headrace.settings.resolve import State

PREFIX = "HEADRACE_"


# Types that need no look into the module of their group: that look costs more than reading the value.
_PLAIN_TYPES: dict[str, Any] = {
    "str": str,
    "str | None": str | None,
    "bool": bool,
    "int": int,
    "float": float,
    "Path": Path,
}


def variable_of(path: str) -> str:
    """Return the environment variable of a dotted path: `api.url` → `HEADRACE_API_URL`."""
    return PREFIX + path.upper().replace(".", "_")


class Declaration:
    """One setting. As a class attribute of a group it is also the attribute's reader."""

    def __init__(
        self,
        default: object,
        help: str,
        *,
        compute: Callable[[Any], object] | None,
        shown: str | None,
        was: tuple[str, ...],
        ge: float | None,
        le: float | None,
    ) -> None:
        self.default = default
        self.help = help
        self.compute = compute
        self.shown = shown
        self.ge = ge
        self.le = le
        self.aliases = tuple(PREFIX + alias for alias in was)
        self.name = ""
        self.group_path = ""
        self.path = ""  # dotted, as in `headrace.toml`: `api.url`
        self.variable = ""  # in the environment: `HEADRACE_API_URL`
        self.owner: type[Group] | None = None

    def place(self, group_path: str) -> None:
        """Tell the setting which group it is in."""
        self.group_path = group_path
        self.path = f"{group_path}.{self.name}" if group_path else self.name
        self.variable = variable_of(self.path)

    def __set_name__(self, owner: type[Group], name: str) -> None:
        self.owner = owner
        self.name = name

    def __get__(self, instance: Group | None, owner: type[Group]) -> Any:
        if instance is None:
            return self
        value = instance.state.value(self)
        instance.__dict__[self.name] = value
        return value

    def __repr__(self) -> str:
        return f"<setting {self.path}>"

    @cached_property
    def type_text(self) -> str:
        """The declared type, as it is written: `str | None`."""
        annotation = self.owner.__annotations__[self.name] if self.owner else "Any"
        return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))

    @cached_property
    def is_secret(self) -> bool:
        """True for values that are masked wherever they are shown."""
        return "SecretStr" in self.type_text

    @cached_property
    def hint(self) -> Any:
        """The declared type as an object, for validation."""
        plain = _PLAIN_TYPES.get(self.type_text)
        if plain is not None:
            return plain
        from pydantic import SecretStr

        assert self.owner is not None
        return get_type_hints(self.owner, localns={"SecretStr": SecretStr})[self.name]

    def default_in(self, root: Group) -> object:
        """Return the default in a tree: a constant, or computed from other settings of that tree."""
        return self.compute(root) if self.compute else self.default


def setting(
    default: Any = None,
    help: str = "",
    *,
    compute: Callable[[Any], object] | None = None,
    shown: str | None = None,
    was: tuple[str, ...] = (),
    ge: float | None = None,
    le: float | None = None,
) -> Any:
    """Declare a setting of a group.

    `compute` gives a default that depends on other settings (it gets the root of the tree); `shown` is how the
    reference page writes that default. `was` lists older variable names without the prefix, best first. `ge` and
    `le` bound a number or the seconds of a duration.
    """
    return Declaration(default, help, compute=compute, shown=shown, was=was, ge=ge, le=le)


class _Subgroup:
    """Reader of a nested group; the group shares the values of its tree."""

    def __init__(self, group_type: type[Group]) -> None:
        self.group_type = group_type
        self.name = ""

    def __set_name__(self, owner: type[Group], name: str) -> None:
        self.name = name

    def __get__(self, instance: Group | None, owner: type[Group]) -> Any:
        if instance is None:
            return self.group_type
        nested = self.group_type.over(instance.state)
        instance.__dict__[self.name] = nested
        return nested


GroupT = TypeVar("GroupT", bound="Group")


def group(group_type: type[GroupT]) -> GroupT:
    """Nest a group in another. Typed as an instance, because that is what reading the attribute gives."""
    nested: Any = _Subgroup(group_type)
    return nested


class Group:
    """A group of settings. Immutable; made with keyword arguments it reads every other source as well."""

    settings_path: ClassVar[str] = ""
    settings_declared: ClassVar[dict[str, Declaration]] = {}
    settings_groups: ClassVar[dict[str, type[Group]]] = {}

    def __init_subclass__(cls, path: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.settings_path = path
        cls.settings_declared = dict(cls.settings_declared)
        cls.settings_groups = dict(cls.settings_groups)
        for name, value in list(vars(cls).items()):
            if isinstance(value, Declaration):
                value.place(path)
                cls.settings_declared[name] = value
            elif isinstance(value, _Subgroup):
                cls.settings_groups[name] = value.group_type

    def __init__(self, **values: Any) -> None:
        """Read the settings of this group from every source; `values` win over all of them.

        Raises `InvalidSettingError` for a value of the wrong type or an unknown name.
        """
        from headrace.settings.load import load

        self.__dict__["state"] = load(values, group=type(self))

    @classmethod
    def over(cls, state: State) -> Self:
        """Return this group as a view of values that are already resolved."""
        view = cls.__new__(cls)
        view.__dict__["state"] = state
        return view

    if TYPE_CHECKING:

        @property
        def state(self) -> State: ...

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"Settings do not change in place, so {name!r} was not set. "
            "Use `headrace.settings.temporary_settings({...})` or `settings.copy_with_update(updates={...})`."
        )

    if not TYPE_CHECKING:  # a type checker shall find misspelt names by itself

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or name == "state":
                raise AttributeError(name)
            from headrace.model.errors import near

            choices = [*type(self).settings_declared, *type(self).settings_groups]
            hint = near(name, choices)
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}.{' ' + hint if hint else ''}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and type(other) is type(self) and other.hash_key() == self.hash_key()

    def __hash__(self) -> int:
        return hash(self.hash_key())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.model_dump(exclude_unset=True).items())
        return f"{type(self).__name__}({shown})"

    def __getstate__(self) -> dict[str, Any]:
        return {"state": self.state}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)

    @property
    def model_fields_set(self) -> set[str]:
        """Names of this group's own settings that some source sets."""
        found = self.state.found
        return {name for name, declared in type(self).settings_declared.items() if declared.path in found}

    def model_dump(
        self,
        *,
        mode: str = "python",
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        include_secrets: bool = False,
    ) -> dict[str, Any]:
        """Return the values as nested dictionaries.

        `mode="json"` gives JSON values: paths as text, durations in ISO 8601, secrets masked unless
        `include_secrets`. `mode="python"` keeps the objects, secrets as `SecretStr`. `exclude_unset` keeps only what
        a source sets, `exclude_defaults` only what differs from the default; groups without values are left out then.
        """
        from headrace.settings.values import to_json

        partial = exclude_unset or exclude_defaults
        dumped: dict[str, Any] = {}
        for name, declared in type(self).settings_declared.items():
            if exclude_unset and declared.path not in self.state.found:
                continue
            value = getattr(self, name)
            if exclude_defaults and value == declared.default_in(self.state.root):
                continue
            dumped[name] = to_json(value, include_secrets=include_secrets) if mode == "json" else value
        for name in type(self).settings_groups:
            nested: Group = getattr(self, name)
            values = nested.model_dump(
                mode=mode,
                exclude_unset=exclude_unset,
                exclude_defaults=exclude_defaults,
                include_secrets=include_secrets,
            )
            if values or not partial:
                dumped[name] = values
        return dumped

    def to_environment_variables(self, exclude_unset: bool = False, include_secrets: bool = True, include_aliases: bool = False) -> dict[str, str]:
        """Return variables that give another process these settings. Values of None are left out.

        `exclude_unset` leaves out defaults. Without `include_secrets` secrets are left out, since a masked value
        would be taken for the real one. `include_aliases` repeats each value under its older names.
        """
        from headrace.settings.values import to_text

        variables: dict[str, str] = {}
        for declared in walk(type(self)):
            if exclude_unset and declared.path not in self.state.found:
                continue
            if declared.is_secret and not include_secrets:
                continue
            value = self.state.value(declared)
            if value is None:
                continue
            for name in (declared.variable, *(declared.aliases if include_aliases else ())):
                variables[name] = to_text(value)
        if not type(self).settings_path:
            variables.update(self.state.free_texts())
        return variables

    def settings_problem(self) -> str | None:
        """Return what is wrong with values that are each right by themselves; asked when one of them is set."""
        return None

    def settings_advice(self) -> str | None:
        """Return what looks like a mistake though it may be meant; asked once, when a process reads its settings."""
        return None

    def hash_key(self) -> str:
        """Return text that is equal for equal settings and tells nothing about their values."""
        from hashlib import sha256
        from json import dumps

        values = self.to_environment_variables(exclude_unset=True)
        return sha256(dumps(values, sort_keys=True).encode()).hexdigest()


def walk(group_type: type[Group]) -> Iterator[Declaration]:
    """Yield every declaration below a group, once, in the order of the source."""
    seen: set[type[Group]] = set()

    def visit(current: type[Group]) -> Iterator[Declaration]:
        if current in seen:
            return
        seen.add(current)
        yield from current.settings_declared.values()
        for nested in current.settings_groups.values():
            yield from visit(nested)

    yield from visit(group_type)


class Catalogue:
    """All declarations of some groups, found by any of their names."""

    def __init__(self, *group_types: type[Group]) -> None:
        self.by_path: dict[str, Declaration] = {}
        self.by_variable: dict[str, Declaration] = {}
        for group_type in group_types:
            for declared in walk(group_type):
                self.by_path[declared.path] = declared
                for name in (declared.variable, *declared.aliases):
                    self.by_variable[name] = declared

    def find(self, name: str) -> Declaration | None:
        """Return the setting of a variable (with or without prefix, old or new) or dotted path, if there is one."""
        plain = name.strip()
        return self.by_path.get(plain) or self.by_variable.get(plain) or self.by_variable.get(_as_variable(plain))

    def near(self, name: str) -> str:
        """Return a sentence with the settings whose names are close to `name`, or ""."""
        from headrace.model.errors import near

        if "." in name or name.islower():
            return near(name, self.by_path)
        # The prefix is the same everywhere: left in, it would make all names look near.
        plain = near(_as_variable(name).removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in self.by_variable])
        return re.sub(r"'(\w+)'", rf"'{PREFIX}\1'", plain)


def _as_variable(name: str) -> str:
    upper = name.upper().replace(".", "_")
    return upper if upper.startswith(PREFIX) else PREFIX + upper


# Names that are legal though nobody declares them: keys of the logging configuration, and plugins' own settings.
FREE_PREFIXES = tuple(
    PREFIX + start
    for start in (
        "INTEGRATIONS_",
        *(f"LOGGING_{key}_" for key in ("LOGGERS", "HANDLERS", "FORMATTERS", "FILTERS", "ROOT")),
    )
)


def is_free(name: str) -> bool:
    """True for variables that are read by plugins or by the logging configuration instead of the tree."""
    return name.startswith(FREE_PREFIXES)
