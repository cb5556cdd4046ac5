"""The nouns of the plugin system: what a plugin offers, and what became of each plugin.

Standard library only: a plugin's light module imports this, so it must cost next to nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

ENTRY_POINT_GROUP = "headrace.plugins"
HOOK_API_VERSION = "0.1"  # counts changes of the hook specifications, not releases of headrace
DEFAULT_API_REQUIREMENT = ">=0.1,<1"  # for plugins that say nothing

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?")


class Kind(StrEnum):
    """What an offer is; the value is the word that the command line takes."""

    BLOCK = "block"
    WORKER = "worker"
    TASK_RUNNER = "task_runner"
    STEP = "step"
    SERIALIZER = "serializer"
    FILESYSTEM = "filesystem"
    ACTION = "action"
    SERVER_BACKEND = "server_backend"
    COMMAND = "command"

    @property
    def hook(self) -> str:
        """The name of the hook that yields offers of this kind."""
        return _HOOKS[self]

    @property
    def words(self) -> str:
        """The kind as it reads in a sentence."""
        return self.value.replace("_", " ")


_HOOKS = {
    Kind.BLOCK: "headrace_blocks",
    Kind.WORKER: "headrace_workers",
    Kind.TASK_RUNNER: "headrace_task_runners",
    Kind.STEP: "headrace_deployment_steps",
    Kind.SERIALIZER: "headrace_serializers",
    Kind.FILESYSTEM: "headrace_filesystems",
    Kind.ACTION: "headrace_actions",
    Kind.SERVER_BACKEND: "headrace_server_backends",
    Kind.COMMAND: "headrace_commands",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """Say what a plugin has without importing it.

    `name` is what users write: a block slug, a worker type, a step's dotted name.
    `target` is `"package.module:attribute"`; it is imported only when somebody asks for this offer.
    `summary` is one line for listings.
    `modules` are the modules of other distributions that the target needs. They are looked for, never imported, so that
    headrace can say "installed, but boto3 is missing".
    `extra` is the extra of the plugin's distribution that brings them; without it they come with the plugin itself.
    `aliases` are older names that still find the offer.

    Raises ValueError when a part has the wrong shape.
    """

    name: str
    target: str
    summary: str
    modules: tuple[str, ...] = ()
    extra: str | None = None
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip():
            raise ValueError(f"An offer's name is not empty and has no blanks around it, got {self.name!r}.")
        if not _TARGET.fullmatch(self.target):
            raise ValueError(f"The target of offer {self.name!r} must read 'package.module:attribute', got {self.target!r}.")
        if not self.summary.strip() or "\n" in self.summary:
            raise ValueError(f"The summary of offer {self.name!r} must be one line of text, got {self.summary!r}.")
        for label, value in (("modules", self.modules), ("aliases", self.aliases)):
            if isinstance(value, str) or not all(isinstance(part, str) and part for part in value):  # pyright: ignore[reportUnnecessaryIsInstance]  # foreign
                raise ValueError(f"The {label} of offer {self.name!r} must be a tuple of names, got {value!r}.")
            object.__setattr__(self, label, tuple(value))
        for module in self.modules:
            if not all(part.isidentifier() for part in module.split(".")):
                raise ValueError(f"{module!r}, among the modules of offer {self.name!r}, is no module's name.")

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.aliases)


class PluginState(StrEnum):
    """What became of an installed plugin."""

    READY = "ready"
    DEGRADED = "degraded"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible"
    DENIED = "denied"
    CONFLICTING = "conflicting"


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What is known of one installed plugin: its state, why, and how to mend it.

    `name` is its entry point's name, `target` the entry point's value. `reason` and `remedy` are None for a ready plugin.
    `traceback` is the text of what a broken plugin raised. `hooks` names every hook it implements. `missing` lists modules
    of its offers that are not installed. `load_ms` is what importing it took in this process, None when it was not needed.
    """

    name: str
    distribution: str
    version: str
    target: str
    state: PluginState
    requires: str = DEFAULT_API_REQUIREMENT
    offers: dict[Kind, tuple[Offer, ...]] = field(default_factory=dict[Kind, tuple[Offer, ...]])
    hooks: tuple[str, ...] = ()
    reason: str | None = None
    remedy: str | None = None
    traceback: str | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    load_ms: float | None = None

    @property
    def is_builtin(self) -> bool:
        """Whether this is headrace's own set of offers."""
        return self.distribution == "headrace"


@dataclass(frozen=True, slots=True)
class Check:
    """One answer of a plugin's own `headrace_diagnose` hook: `name` in a few words, `detail` with values but no secret."""

    name: str
    state: Literal["ok", "warning", "error"]
    detail: str = ""
    remedy: str | None = None


def normalised(name: str) -> str:
    """Return `name` as packaging tools compare it (PEP 503): lower case, one dash for any run of `-`, `_` and `.`."""
    return re.sub(r"[-_.]+", "-", name).lower()
