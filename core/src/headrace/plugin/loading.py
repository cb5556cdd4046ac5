"""Turns a candidate into a plugin that was read: checks its version, imports its light module, asks it for its offers."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

from headrace.model import clock
from headrace.model.errors import near
from headrace.plugin import host as hosting
from headrace.plugin import modules, versions
from headrace.plugin.cache import Learned, files_of
from headrace.plugin.discovery import Candidate
from headrace.plugin.loaded import Loaded
from headrace.plugin.offers import DEFAULT_API_REQUIREMENT, HOOK_API_VERSION, Kind, Offer, PluginState


def load(candidate: Candidate, host: hosting.Host, import_target: Callable[[str], object], with_offers: bool = True) -> tuple[Loaded, Learned | None]:
    """Import and read one plugin. Whatever it raises becomes its state; the second value is what may be remembered.

    `with_offers` False imports and validates it but calls none of its hooks (safe mode).
    """
    plugin = Loaded(candidate)
    started = clock.monotonic()
    declared = versions.declared_in(_source(candidate))
    if declared is not None and not _is_accepted(plugin, declared):
        return plugin, None
    loaded_before = len(sys.modules)
    is_new = candidate.module.partition(".")[0] not in sys.modules
    read = hosting.call(partial(_read, plugin, host, import_target))
    if read.error is not None:
        _mark_broken(plugin, read.error)
    if plugin.state is not PluginState.READY:
        return plugin, None
    plugin.is_imported = True
    plugin.notes += tuple(_unknown_hooks(plugin.hooks, host.known_hooks))
    if with_offers:
        _ask_for_offers(plugin, host)
    plugin.load_ms = 1000 * (clock.monotonic() - started)
    if plugin.state is not PluginState.READY or not with_offers:
        return plugin, None
    return plugin, Learned(plugin.offers, plugin.hooks, plugin.requires, plugin.notes, files_of(candidate.module, loaded_before if is_new else 0))


def _source(candidate: Candidate) -> str:
    """Return the source text of the plugin's module, or "" when it has none. It mostly lies beside the metadata, which is quicker than a search."""
    beside = os.path.join(os.path.dirname(candidate.folder), *candidate.module.split(".")) + ".py"
    try:
        with open(beside, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return modules.source_of(candidate.module) or ""


def _read(plugin: Loaded, host: hosting.Host, import_target: Callable[[str], object]) -> None:
    """Import the plugin and give it to the host, unless it turns out to be for another hook API. Raises what it raises."""
    target = import_target(plugin.candidate.target)
    found = target() if isinstance(target, type) else target
    stated = _stated(found, plugin.candidate.module)
    if stated in (None, plugin.requires) or _is_accepted(plugin, stated):
        plugin.hooks = host.add(plugin.key, plugin.candidate.name, found)


def _stated(plugin: object, module: str) -> str | None:
    for holder in (plugin, sys.modules.get(module)):
        requirement = getattr(holder, "HEADRACE_PLUGIN_API_REQUIRES", None)
        if requirement is not None:
            return str(requirement)
    return None


def _is_accepted(plugin: Loaded, requirement: str) -> bool:
    """Check the hook API that the plugin was written for; a specifier that cannot be read is noted and let through."""
    plugin.requires = requirement
    satisfied = versions.is_satisfied(requirement)
    if satisfied is None:
        plugin.notes = (
            f"It states the hook API version {requirement!r}, which is not a version specifier, so the check was left "
            f"out. Write for example HEADRACE_PLUGIN_API_REQUIRES = {DEFAULT_API_REQUIREMENT!r}.",
        )
        return True
    if satisfied:
        return True
    plugin.state = PluginState.INCOMPATIBLE
    plugin.reason = f"{plugin.title} was written for hook API {requirement}, and this headrace has hook API {HOOK_API_VERSION}."
    if versions.is_for_the_future(requirement):
        plugin.remedy = "Upgrade headrace: `pip install --upgrade headrace`."
    else:
        plugin.remedy = f"Upgrade the plugin: `pip install --upgrade {plugin.candidate.distribution}`."
    return False


def _mark_broken(plugin: Loaded, error: BaseException) -> None:
    plugin.state = PluginState.BROKEN
    place = _innermost_frame(error, plugin.candidate.module.partition(".")[0])
    plugin.reason = f"{plugin.title} could not be loaded: {_described(error)}{place}."
    plugin.traceback = "".join(traceback.format_exception(error))
    if isinstance(error, ModuleNotFoundError) and error.name and plugin.candidate.module.startswith(error.name):
        plugin.remedy = (
            f"Its entry point names {plugin.candidate.target!r}, which is not there. "
            f"Install it again: `pip install --force-reinstall {plugin.candidate.distribution}`."
        )
    elif isinstance(error, ModuleNotFoundError) and error.name:
        plugin.remedy = (
            f"It imports {error.name!r}, which is not installed. Install it, or upgrade the plugin: "
            f"`pip install --upgrade {plugin.candidate.distribution}`."
        )
    else:
        plugin.remedy = (
            f"Upgrade or remove it (`pip install --upgrade {plugin.candidate.distribution}`), or keep it out with "
            f"HEADRACE_PLUGINS_DENY={plugin.candidate.name}."
        )


def _described(error: BaseException) -> str:
    text = str(error).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _innermost_frame(error: BaseException, package: str) -> str:
    """Return " (file, line n)" of the deepest frame in the plugin's own package, or "" when there is none."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f"{package}" in f.filename.replace("\\", "/").split("/")]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _unknown_hooks(hooks: Iterable[str], known: tuple[str, ...]) -> Iterable[str]:
    for hook in hooks:
        if hook not in known:
            yield (f"It implements {hook!r}, which is no hook of API {HOOK_API_VERSION}, so that is never called. {near(hook, known)}").rstrip()


def _ask_for_offers(plugin: Loaded, host: hosting.Host) -> None:
    for kind in Kind:
        if kind.hook not in plugin.hooks:
            continue
        for implementation in host.implementations(kind.hook, plugin.key):
            outcome = hosting.call(partial(_offers_of, implementation))
            if outcome.error is None:
                plugin.offers[kind] = (*plugin.offers.get(kind, ()), *outcome.value)
                continue
            plugin.state = PluginState.DEGRADED
            plugin.reason = f"{plugin.title} failed in its hook {kind.hook}: {_described(outcome.error)}."
            plugin.remedy = f"Its other offers work. Upgrade it: `pip install --upgrade {plugin.candidate.distribution}`."
            plugin.traceback = "".join(traceback.format_exception(outcome.error))


def _offers_of(implementation: hosting.Implementation) -> tuple[Offer, ...]:
    answer = implementation.function()
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes):
        raise TypeError(f"it returned {type(answer).__name__}, and a list of headrace.plugin.Offer was expected")
    offers: list[Offer] = []
    for offer in cast("Iterable[object]", answer):
        if not isinstance(offer, Offer):
            raise TypeError(f"it returned a list with {offer!r} in it, and headrace.plugin.Offer was expected")
        offers.append(offer)
    return tuple(offers)
