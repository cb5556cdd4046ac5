"""Runs the plugins' startup hooks when an engine, worker, server or command starts: once, bounded, each isolated."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from headrace.model import clock
from headrace.plugin.offers import HOOK_API_VERSION, PluginState

if TYPE_CHECKING:
    from headrace.plugin.host import Implementation, Outcome
    from headrace.plugin.policy import Policy
    from headrace.plugin.registry import Registry

_logger = logging.getLogger("headrace.plugins")

_SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIAL", "PASSPHRASE", "AUTH", "DSN", "CONNECTION_STRING")
_HIDDEN = "••••••"


@dataclass(frozen=True)
class HookContext:
    """What a startup hook is told. `logger_factory` makes a logger from a name."""

    headrace_version: str
    api_url: str | None
    logger_factory: Callable[[str], logging.Logger]


@dataclass(frozen=True)
class DatabaseContext:
    """What a database hook is told: the connection URL, and the settings tree."""

    connection_url: str
    settings: Any


@dataclass(frozen=True)
class SetupResult:
    """What a startup hook asks for.

    `env` are environment variables to set. `note` is one line for people. `required` says that without these variables the
    process must not start in strict mode, so an empty `env` ends it there. `expires_at` is when the values end, for reports.
    """

    env: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str | None = None
    required: bool = False
    expires_at: datetime | None = None


class SetupState(StrEnum):
    """What became of one startup hook."""

    SUCCESS = "success"
    NOTHING = "nothing to do"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class SetupSummary:
    """What one plugin's startup hook did. `env_preview` shows names, and values that are no secret; `error` is its text."""

    plugin: str
    env_preview: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str | None = None
    error: str | None = None
    state: SetupState = SetupState.SUCCESS
    expires_at: datetime | None = None
    seconds: float | None = None


def is_secret(name: str) -> bool:
    """Return whether an environment variable of this name is hidden in logs and reports."""
    return any(word in name.upper() for word in _SECRET_WORDS)


def preview(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` with the values of secret names replaced by dots."""
    return {name: _HIDDEN if is_secret(name) else value for name, value in env.items()}


_once = threading.Lock()
_is_done = False
_hook_threads = threading.local()


def run_once() -> list[SetupSummary]:
    """Run the startup hooks if `plugins.enabled` is on and this process has not done so; return what they did.

    Every further call returns an empty list: one from inside a hook at once, one from another thread when the hooks are
    done. Raises SystemExit(1) in strict mode when a plugin fails that the process must not start without.
    """
    global _is_done
    if _is_done or getattr(_hook_threads, "is_hook", False):
        return []
    with _once:
        if _is_done:
            return []
        from headrace.plugin.policy import current_policy

        if not current_policy().enabled:
            return []
        from headrace.plugin.registry import get_registry

        try:
            return run_startup_hooks(context(), get_registry())
        finally:
            _is_done = True


def context() -> HookContext:
    """Make the context that hooks are given. Their loggers are children of `headrace.plugins`."""
    from headrace.plugin.discovery import installed_version
    from headrace.settings import get_current_settings

    api_url = get_current_settings().api.url
    return HookContext(installed_version("headrace") or "0", api_url, lambda name: _logger.getChild(name))


def run_startup_hooks(ctx: HookContext, registry: Registry | None = None) -> list[SetupSummary]:
    """Call every startup hook, set the environment variables that they return, and say what each did.

    Hooks run one by one in the order of plugin names. All together have `plugins.setup_timeout_seconds`; one that uses up
    its share is left running beside the next and is given up at the end of that time: its result is dropped, the others'
    are kept. Nothing is run when `plugins.enabled` is off or in safe mode. Raises SystemExit(1) in strict mode when a
    plugin fails that the process must not start without.
    """
    if registry is None:
        from headrace.plugin.registry import get_registry

        registry = get_registry()
    policy = registry.policy
    if not policy.enabled:
        return []
    summaries = _unusable(registry)
    implementations = registry.implementations("headrace_setup_environment")
    outcomes = _call_all(implementations, {"context": ctx, "ctx": ctx}, policy.setup_timeout_seconds)
    env: dict[str, str] = {}
    setters: dict[str, str] = {}
    fatal: list[str] = []
    for implementation, outcome in zip(implementations, outcomes, strict=True):
        summary, result = _summary(implementation, outcome, policy)
        summaries.append(summary)
        if _is_fatal(implementation, summary, result):
            fatal.append(f"{summary.plugin}: {summary.error or 'required, but it set no variable'}")
        for name, value in result.env.items() if result else ():
            if name in setters:
                _logger.warning(
                    "Plugins %s and %s both set the environment variable %s; the value of %s is used.",
                    setters[name], summary.plugin, name, summary.plugin,
                )  # fmt: skip
            setters[name] = summary.plugin
            env[name] = value
    if env:
        _apply(env)
    if fatal and policy.strict:
        _logger.error("A required plugin failed and strict mode is on, so this process ends: %s", "; ".join(fatal))
        raise SystemExit(1)
    return summaries


def database_connection_arguments(connection_url: str, settings: Any, registry: Registry | None = None) -> dict[str, Any]:
    """Return what the first plugin that answers wants the database driver's `connect` to be given; {} when none does.

    Each plugin has what is left of `plugins.setup_timeout_seconds`. One that fails or is late is reported and passed over.
    """
    if registry is None:
        from headrace.plugin.registry import get_registry

        registry = get_registry()
    policy = registry.policy
    if not policy.enabled:
        return {}
    offered = {
        "context": DatabaseContext(connection_url, settings),
        "connection_url": connection_url,
        "settings": settings,
    }
    deadline = clock.monotonic() + policy.setup_timeout_seconds
    for implementation in registry.implementations("headrace_database_connection"):
        outcome = _start(implementation, offered).wait(deadline - clock.monotonic())
        if outcome is None:
            _logger.warning("The database hook of plugin %s did not answer in time; it was passed over.", implementation.plugin)
        elif outcome.error is not None:
            _logger.warning("The database hook of plugin %s failed: %s", implementation.plugin, _text(outcome.error))
        elif outcome.value is not None:
            return dict(outcome.value)
    return {}


def _unusable(registry: Registry) -> list[SetupSummary]:
    """Report the plugins that cannot take part, and warn of those that should have."""
    summaries: list[SetupSummary] = []
    for record in registry.records():
        if record.state is PluginState.INCOMPATIBLE:
            _logger.warning(
                "Skipping plugin %s: requires API version %s, current version is %s. %s",
                record.name, record.requires, HOOK_API_VERSION, record.remedy,
            )  # fmt: skip
        elif record.state is PluginState.BROKEN:
            _logger.warning("%s %s", record.reason, record.remedy)
        elif not (registry.policy.safe_mode and "headrace_setup_environment" in record.hooks):
            continue
        summaries.append(SetupSummary(record.name, error=record.reason, state=SetupState.SKIPPED))
    return summaries


def _call_all(implementations: list[Implementation], offered: Mapping[str, Any], timeout_seconds: float) -> list[Outcome | None]:
    """Call one after the other; who takes longer than a fair share of the time left runs on beside the next."""
    deadline = clock.monotonic() + timeout_seconds
    calls: list[Any] = []
    for index, implementation in enumerate(implementations):
        call = _start(implementation, offered)
        calls.append(call)
        call.wait((deadline - clock.monotonic()) / (len(implementations) - index))
    return [call.wait(deadline - clock.monotonic()) for call in calls]


def _start(implementation: Implementation, offered: Mapping[str, Any]) -> Any:
    from headrace.plugin.host import Call

    def call(**arguments: Any) -> Any:
        _hook_threads.is_hook = True
        return implementation.function(**arguments)

    return Call(call, implementation.arguments(offered), implementation.plugin)


def _summary(implementation: Implementation, outcome: Outcome | None, policy: Policy) -> tuple[SetupSummary, SetupResult | None]:
    name = implementation.plugin
    if outcome is None:
        text = f"no answer within {policy.setup_timeout_seconds:g} seconds (HEADRACE_PLUGINS_SETUP_TIMEOUT_SECONDS)"
        _logger.warning("The startup hook of plugin %s gave %s; what it returns later is dropped.", name, text)
        return SetupSummary(name, error=text, state=SetupState.TIMED_OUT), None
    error = outcome.error or _fault(outcome.value)
    if error is not None:
        _logger.warning("The startup hook of plugin %s failed: %s", name, _text(error), exc_info=error if policy.strict else None)
        return SetupSummary(name, error=_text(error), state=SetupState.FAILED, seconds=outcome.seconds), None
    result: SetupResult | None = outcome.value
    if result is None:
        return SetupSummary(name, state=SetupState.NOTHING, seconds=outcome.seconds), None
    _logger.debug("Plugin %s set up: %s %s", name, preview(result.env), result.note or "")
    return (
        SetupSummary(name, preview(result.env), result.note, None, SetupState.SUCCESS, result.expires_at, outcome.seconds),
        result,
    )


def _fault(value: object) -> TypeError | None:
    """Return what is wrong with a hook's answer, or None."""
    if value is None:
        return None
    if not isinstance(value, SetupResult):
        return TypeError(f"it returned {type(value).__name__}, and SetupResult or None was expected")
    for name, text in dict(value.env).items():
        if not isinstance(name, str) or not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # foreign
            return TypeError(f"environment variable {name!r} is not text but {type(text).__name__}")
        if not name or "=" in name or "\0" in name + text:
            return TypeError(f"{name!r} cannot be an environment variable")
    return None


def _is_fatal(implementation: Implementation, summary: SetupSummary, result: SetupResult | None) -> bool:
    """Whether strict mode ends the process for this.

    A hook that raised had no chance to say `required` in its result, so it counts as required unless its decorator says
    otherwise; one that was late only if its decorator says so, since the documented answer to that is a warning.
    """
    match summary.state:
        case SetupState.FAILED:
            return implementation.required is not False
        case SetupState.TIMED_OUT:
            return implementation.required is True
        case SetupState.NOTHING:
            return implementation.required is True
        case SetupState.SUCCESS:
            return bool(result and result.required and not result.env)
        case SetupState.SKIPPED:
            return False


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _apply(env: Mapping[str, str]) -> None:
    from headrace.settings import refresh_global_settings_context

    # Written for SDKs and child processes. Settings are not read here, but asked to look again at their part of it.
    os.environ.update(env)
    refresh_global_settings_context()
