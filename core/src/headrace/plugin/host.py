"""Reads a plugin object with pluggy, which validates the hooks, and calls implementations one by one, each isolated."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pluggy
from pluggy import PluginManager

from headrace.model import clock
from headrace.plugin import specs
from headrace.plugin.marker import MARK, HookOptions


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of one hook. `required` is what its decorator said, None when it said nothing.

    `plugin` is the name for people, `key` tells two plugins of one name apart.
    """

    plugin: str
    key: str
    hook: str
    function: Callable[..., Any]
    required: bool | None

    def arguments(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the `offered` arguments that the function takes."""
        parameters = inspect.signature(self.function).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return dict(offered)
        return {name: value for name, value in offered.items() if name in parameters}


@dataclass(slots=True)
class Outcome:
    """What became of one call: a value, an error, or neither yet when `seconds` is None."""

    value: Any = None
    error: BaseException | None = None
    seconds: float | None = None


class _Manager(PluginManager):
    """A pluggy manager that knows our decorator and the documented names of hooks."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if name.startswith("__"):
            return None
        options = options_of(getattr(plugin, name, None))
        if options is None:
            return super().parse_hookimpl_opts(plugin, name)
        return {
            "wrapper": False,
            "hookwrapper": False,
            "optionalhook": True,  # a hook that this core does not know is reported, and the plugin loads
            "tryfirst": options.tryfirst,
            "trylast": options.trylast,
            "specname": options.specname or specs.ALIASES.get(name),
        }


def options_of(function: object) -> HookOptions | None:
    """Return what `hookimpl` noted on a function or bound method, or None."""
    if not inspect.isroutine(function):
        return None
    options = getattr(function, MARK, None)
    return options if isinstance(options, HookOptions) else None


class Host:
    """All plugin objects that were read so far, and the order in which pluggy would call them."""

    def __init__(self) -> None:
        self._manager = _Manager(specs.PROJECT)
        self._manager.add_hookspecs(specs)
        self._names: dict[str, str] = {}

    @property
    def known_hooks(self) -> tuple[str, ...]:
        """The names of all hooks that this core calls, documented aliases included."""
        return tuple(name for name in dir(specs) if name.startswith("headrace_")) + tuple(specs.ALIASES)

    def add(self, key: str, name: str, plugin: object) -> tuple[str, ...]:
        """Read `plugin` and return the names of the hooks that it implements, unknown ones included.

        Raises ValueError when an implementation takes arguments that the hook does not have; nothing of it is kept then.
        """
        self._names[key] = name
        try:
            self._manager.register(plugin, name=key)
            hooks = sorted(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
            for implementation in self._of(key, hooks):
                _check_keywords(implementation)
        except pluggy.PluginValidationError as error:
            self._forget(key, plugin)
            raise ValueError(str(error).replace("\n", ". ")) from error
        except BaseException:
            self._forget(key, plugin)
            raise
        return tuple(hooks)

    def _forget(self, key: str, plugin: object) -> None:
        if self._manager.get_name(plugin) == key:
            self._manager.unregister(plugin)

    def _of(self, key: str, hooks: list[str]) -> list[Implementation]:
        return [i for hook in hooks if hasattr(specs, hook) for i in self.implementations(hook, key)]

    def implementations(self, hook: str, key: str | None = None) -> list[Implementation]:
        """Return the implementations of `hook`: `tryfirst` ones, then by plugin name, then `trylast` ones.

        With `key`, only those of one plugin.
        """
        found = sorted(
            (i for i in getattr(self._manager.hook, hook).get_hookimpls() if key in (None, i.plugin_name)),
            key=lambda impl: (0 if impl.tryfirst else 2 if impl.trylast else 1, impl.plugin_name),
        )
        return [Implementation(self._names[i.plugin_name], i.plugin_name, hook, i.function, _required(i.function)) for i in found]


def _check_keywords(implementation: Implementation) -> None:
    """Refuse keyword-only arguments that the hook is not called with; pluggy looks at the positional ones alone."""
    wanted = inspect.signature(implementation.function).parameters
    if not wanted:
        return
    offered = inspect.signature(getattr(specs, implementation.hook)).parameters
    for parameter in wanted.values():
        is_needed = parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
        if is_needed and parameter.name not in offered:
            raise ValueError(
                f"Its {implementation.hook} needs the argument {parameter.name!r}, but that hook is called with "
                f"{', '.join(offered) or 'no arguments'}."
            )


def _required(function: object) -> bool | None:
    options = options_of(function)
    return options.required if options else None


def call(function: Callable[..., Any], arguments: Mapping[str, Any] | None = None) -> Outcome:
    """Call `function` and return what became of it: whatever it raises is caught, KeyboardInterrupt apart."""
    started = clock.monotonic()
    outcome = Outcome()
    try:
        outcome.value = function(**(arguments or {}))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  the border to foreign code: SystemExit too must not end us
        outcome.error = error
    outcome.seconds = clock.monotonic() - started
    return outcome


class Call:
    """A call in a daemon thread of its own, which may be left behind when it does not come back."""

    def __init__(self, function: Callable[..., Any], arguments: Mapping[str, Any], name: str) -> None:
        self._result: Outcome | None = None
        self._thread = threading.Thread(target=self._run, args=(function, arguments), name=f"headrace-plugin-{name}", daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        try:
            self._result = call(lambda: _finished(function(**arguments)))
        except KeyboardInterrupt as error:
            self._result = Outcome(error=error, seconds=0.0)

    def wait(self, seconds: float) -> Outcome | None:
        """Wait up to `seconds`; return None when the call has not come back by then."""
        self._thread.join(max(0.0, seconds))
        return self._result


def _finished(value: Any) -> Any:
    """Return `value`, or what it gives when it is a coroutine: the thread has no loop yet, so it gets a private one."""
    if not inspect.iscoroutine(value):
        return value
    import asyncio

    return asyncio.run(value)
