"""Answers who offers what, and imports the one thing that is asked for. The only importer of plugins in headrace."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

from headrace.model.errors import (
    MissingExtra,
    PluginBroken,
    PluginConflict,
    PluginDenied,
    PluginError,
    PluginIncompatible,
    PluginNotInstalled,
    near,
)
from headrace.plugin import builtin, catalogue, modules, reading
from headrace.plugin.cache import Learned, OfferCache
from headrace.plugin.discovery import Candidate, discover, installed_version
from headrace.plugin.loaded import Loaded, from_cache, install_hint, record_of
from headrace.plugin.marker import MARK
from headrace.plugin.offers import Kind, Offer, PluginRecord, PluginState
from headrace.plugin.policy import Policy, current_policy

if TYPE_CHECKING:
    from headrace.plugin.host import Host, Implementation

_logger = logging.getLogger("headrace.plugins")

# The class that a target of each kind descends from, by name, since those classes live in rooms above this one. A kind
# without a row takes any callable; a server backend may also be a module.
_BASES: dict[Kind, tuple[str, ...]] = {
    Kind.BLOCK: ("Block",),
    Kind.WORKER: ("BaseWorker", "Worker"),
    Kind.TASK_RUNNER: ("TaskRunner",),
    Kind.SERIALIZER: ("Serializer",),
    Kind.FILESYSTEM: ("ReadableFileSystem", "WritableFileSystem", "ReadableDeploymentStorage", "WritableDeploymentStorage"),
    Kind.ACTION: ("Action",),
}

# What is raised for an offer of a plugin in such a state.
_ERRORS: dict[PluginState, type[PluginError]] = {
    PluginState.BROKEN: PluginBroken,
    PluginState.INCOMPATIBLE: PluginIncompatible,
    PluginState.DENIED: PluginDenied,
}

Claim = tuple[Loaded, Offer]


class Registry:
    """All that is offered in this environment, under one `Policy`.

    Built-ins are known at once. The first question that they do not answer finds the installed plugins and learns what
    each offers, from the cache or by importing its light module; the offers' own modules are imported by `resolve` alone.
    Safe to use from several threads.
    """

    def __init__(self, policy: Policy | None = None, path: Sequence[str] | None = None) -> None:
        self.policy = policy or Policy()
        self._path = path
        self._lock = threading.RLock()
        self._builtin = _builtin_plugin()
        self._plugins: list[Loaded] = []
        self._candidates: tuple[Candidate, ...] | None = None
        self._host: Host | None = None
        self._resolved: dict[tuple[Kind, str], object] = {}
        self._used: dict[str, PluginRecord] = {}
        self._index: dict[Kind, dict[str, list[Claim]]] = {}
        self._kept: OfferCache | None = None

    # --- questions -------------------------------------------------------------------------------------------------

    def offers(self, kind: Kind | str) -> tuple[Offer, ...]:
        """Return every offer of a kind that can be found by its name, built-ins first, then sorted by name."""
        kind = Kind(kind)
        own = self._builtin.offers.get(kind, ())
        taken = {name for offer in own for name in offer.names}
        claims = self._claims(kind)
        foreign = {
            offer
            for name, claimants in claims.items()
            for _, offer in claimants
            if name == offer.name and name not in taken and not _is_contested(claimants)
        }
        return (*own, *sorted(foreign, key=lambda offer: offer.name))

    def find(self, kind: Kind | str, name: str) -> Offer:
        """Return the offer of that name or alias, importing nothing of it.

        Raises PluginConflict when two distributions offer the name; PluginBroken, PluginIncompatible or PluginDenied when
        its plugin is known to have it but cannot be used; and PluginNotInstalled when nothing installed offers it, with the
        distribution to install, where that is known.
        """
        return self._claim(Kind(kind), name)[1]

    def provider(self, kind: Kind | str, name: str) -> PluginRecord:
        """Return the plugin whose offer `find` would return; raises as `find` does."""
        return self._record(self._claim(Kind(kind), name)[0])

    def resolve(self, kind: Kind | str, name: str) -> object:
        """Import and return what the offer of that name points to: a class, a callable, for server backends also a module.

        Raises as `find` does; MissingExtra when a module that it needs is not installed; PluginBroken when importing it
        fails or it is not what its kind demands. A second call returns the same object.
        """
        kind = Kind(kind)
        plugin, offer = self._claim(kind, name)
        if (kind, offer.target) not in self._resolved:
            self._resolved[kind, offer.target] = self._import_offer(plugin, kind, offer)
            self._used[plugin.key] = self._record(plugin)
        return self._resolved[kind, offer.target]

    def records(self) -> tuple[PluginRecord, ...]:
        """Return what became of each installed plugin, headrace's own offers first."""
        self._load_all()
        return tuple(self._record(plugin) for plugin in (self._builtin, *self._plugins))

    def used(self) -> tuple[PluginRecord, ...]:
        """Return the plugins of which this process imported something, for the record of a run."""
        return tuple(self._used.values())

    def candidates(self) -> tuple[Candidate, ...]:
        """Return the entry points that were found."""
        self._load_all()
        return self._candidates or ()

    def implementations(self, hook: str) -> list[Implementation]:
        """Return the implementations of a hook in the order to call them, importing the plugins that have one.

        Plugins that are denied, broken or incompatible have none; in safe mode nobody has.
        """
        with self._lock:
            self._load_all()
            if self.policy.safe_mode:
                return []
            for index, plugin in enumerate(self._plugins):
                if hook in plugin.hooks and not plugin.is_imported:
                    self._plugins[index] = self._load(plugin.candidate)[0]
            return self._hosting().implementations(hook) if any(p.is_imported for p in self._plugins) else []

    def refresh(self) -> bool:
        """Look again for installed plugins; return whether any came, went or changed its version."""
        with self._lock:
            found = discover(self._path)
            if found == self._candidates:
                return False
            importlib.invalidate_caches()
            self._candidates = None
            self._plugins = []
            self._index.clear()
            self._resolved.clear()
            self._host = None
            return True

    # --- finding ---------------------------------------------------------------------------------------------------

    def _claim(self, kind: Kind, name: str) -> Claim:
        for offer in self._builtin.offers.get(kind, ()):
            if name in offer.names:
                return self._builtin, offer
        claimants = self._claims(kind).get(name)
        if claimants is None and self.refresh():  # installed while this process ran
            claimants = self._claims(kind).get(name)
        if claimants is None:
            raise self._nobody_offers(kind, name)
        if _is_contested(claimants):
            raise PluginConflict(_conflict(kind, name, claimants))
        return claimants[0]

    def _claims(self, kind: Kind) -> dict[str, list[Claim]]:
        with self._lock:
            self._load_all()
            if kind not in self._index:
                claims: dict[str, list[Claim]] = {}
                for plugin in self._plugins:
                    for offer in plugin.offers.get(kind, ()):
                        for name in offer.names:
                            claims.setdefault(name, []).append((plugin, offer))
                self._index[kind] = claims
            return self._index[kind]

    def _nobody_offers(self, kind: Kind, name: str) -> PluginError:
        first_party = catalogue.bringing(kind, name)
        cache = self._cache()
        for plugin in self._plugins:
            error = _ERRORS.get(plugin.state)
            last = cache.last_known(plugin.candidate) if cache else None
            offered = last is not None and any(name in offer.names for offer in last.offers.get(kind, ()))
            if error and (offered or plugin.candidate.distribution == first_party):
                return error(
                    f"The {kind.words} {name!r} cannot be used. {plugin.reason} {plugin.remedy} "
                    f"More: `headrace plugins doctor {plugin.candidate.name}`."
                )
        sentences = [f"No installed plugin offers the {kind.words} {name!r}."]
        names = [n for o in self._builtin.offers.get(kind, ()) for n in o.names] + list(self._claims(kind))
        if first_party:
            sentences.append(f"{first_party} does: `pip install {first_party}`.")
        elif suggestion := near(name, {*names, *catalogue.read().get(kind.value, ())}):
            sentences.append(suggestion)
        elif names:
            sentences.append(f"There {'are' if len(names) > 1 else 'is'}: {', '.join(sorted(names)[:20])}.")
        troubled = [p for p in self._plugins if p.state is not PluginState.READY]
        if troubled:
            listed = ", ".join(f"{p.candidate.name} ({p.state.value})" for p in troubled)
            sentences.append(f"These plugins could not be asked in full: {listed}; see `headrace plugins doctor`.")
        return PluginNotInstalled(" ".join(sentences))

    # --- loading ---------------------------------------------------------------------------------------------------

    def _load_all(self) -> None:
        """Find the installed plugins and learn what each offers, once. A plugin that asks meanwhile sees those before it."""
        with self._lock:
            if self._candidates is not None:
                return
            self._candidates = discover(self._path)
            cache = None if self.policy.safe_mode else self._cache()
            for candidate in self._candidates:
                if refusal := self.policy.refusal(candidate.name, candidate.distribution):
                    reason, remedy = refusal
                    self._plugins.append(Loaded(candidate, state=PluginState.DENIED, reason=reason, remedy=remedy))
                    continue
                learned = cache.get(candidate) if cache else None
                if learned is not None:
                    self._plugins.append(from_cache(candidate, learned))
                    continue
                learned = None if self.policy.safe_mode else reading.learn(candidate)
                if learned is not None:
                    plugin = from_cache(candidate, learned)
                else:
                    plugin, learned = self._load(candidate)
                self._plugins.append(plugin)
                if cache and learned is not None:
                    cache.put(candidate, learned)
            if cache:
                cache.save()
            self._index.clear()  # of what a plugin that asked meanwhile could see

    def _load(self, candidate: Candidate) -> tuple[Loaded, Learned | None]:
        from headrace.plugin import loading  # brings pluggy, which a process that only reads the cache does not need

        plugin, learned = loading.load(candidate, self._hosting(), import_target, not self.policy.safe_mode)
        if self.policy.safe_mode and plugin.state is PluginState.READY:
            plugin.state = PluginState.DENIED
            plugin.reason = f"{plugin.title} was loaded, but safe mode is on, so none of its hooks is called."
            plugin.remedy = "Switch off HEADRACE_PLUGINS_SAFE_MODE (setting plugins.safe_mode) to use it."
        if plugin.state in (PluginState.BROKEN, PluginState.INCOMPATIBLE):
            _logger.debug("%s", plugin.reason)
        return plugin, learned

    def _hosting(self) -> Host:
        if self._host is None:
            from headrace.plugin.host import Host

            self._host = Host()
        return self._host

    def _cache(self) -> OfferCache | None:
        if self._kept is None and self.policy.cache_folder is not None:
            self._kept = OfferCache(self.policy.cache_folder)
        return self._kept

    def _import_offer(self, plugin: Loaded, kind: Kind, offer: Offer) -> object:
        missing = [name for name in offer.modules if not modules.is_available(name)]
        if missing:
            hints = ", ".join(sorted({install_hint(plugin, name) for name in missing}))
            raise MissingExtra(
                f"The {kind.words} {offer.name!r} comes from {plugin.candidate.distribution} "
                f"{plugin.candidate.version}, which is installed, but {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing. Install it with {hints}."
            )
        try:
            found = import_target(offer.target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the border to foreign code: SystemExit at import too must not end us
            raise PluginBroken(
                f"The {kind.words} {offer.name!r} of {plugin.candidate.distribution} {plugin.candidate.version} could not "
                f"be imported from {offer.target!r}: {type(error).__name__}: {error}. "
                f"More: `headrace plugins doctor {plugin.candidate.name}`."
            ) from error
        if problem := _misfit(kind, found):
            raise PluginBroken(
                f"The {kind.words} {offer.name!r} of {plugin.candidate.distribution} {plugin.candidate.version} points to "
                f"{offer.target!r}, which is {problem}. Report this to the plugin's author."
            )
        return found

    # --- records ---------------------------------------------------------------------------------------------------

    def _record(self, plugin: Loaded) -> PluginRecord:
        if plugin is self._builtin:
            return replace(record_of(plugin, ()), version=installed_version("headrace") or "")
        needed = sorted({m for offers in plugin.offers.values() for offer in offers for m in offer.modules})
        record = record_of(plugin, tuple(name for name in needed if not modules.is_available(name)))
        conflicts = list(self._conflicts_of(plugin))
        if not conflicts:
            return record
        return replace(
            record,
            state=PluginState.CONFLICTING,
            reason=" ".join(conflicts),
            remedy=f"Remove one of them, or keep this one out with HEADRACE_PLUGINS_DENY={plugin.candidate.name}.",
        )

    def _conflicts_of(self, plugin: Loaded) -> Iterator[str]:
        for kind, offers in plugin.offers.items():
            built_in = {name for offer in self._builtin.offers.get(kind, ()) for name in offer.names}
            for name in (name for offer in offers for name in offer.names):
                if name in built_in:
                    yield (f"The {kind.words} {name!r} is built into headrace; the one of {plugin.candidate.distribution} is never used.")
                elif _is_contested(claimants := self._claims(kind)[name]):
                    yield _conflict(kind, name, claimants)


def _builtin_plugin() -> Loaded:
    offers: dict[Kind, tuple[Offer, ...]] = {}
    for kind in Kind:
        function = getattr(builtin, kind.hook, None)
        if function is not None and hasattr(function, MARK):
            offers[kind] = tuple(function())
    found = Candidate("builtin", builtin.__name__, "headrace", "", "")
    return Loaded(found, offers, tuple(kind.hook for kind in offers))


def import_target(target: str) -> object:
    """Import what `"package.module:attribute"` names, or a module. Raises whatever that raises."""
    module, _, attribute = target.partition(":")
    found: object = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
    return found


def _misfit(kind: Kind, found: object) -> str | None:
    """Return what is wrong with a target for its kind, or None."""
    bases = _BASES.get(kind)
    if bases is None:
        is_fit = callable(found) or (kind is Kind.SERVER_BACKEND and isinstance(found, ModuleType))
        return None if is_fit else f"{found!r} and cannot be called"
    if not isinstance(found, type):
        return f"{type(found).__name__} {getattr(found, '__name__', '')!r} and not a class"
    if any(c.__name__ in bases and c.__module__.partition(".")[0] == "headrace" for c in found.__mro__[1:]):
        return None
    return f"no subclass of headrace's {bases[0]}"


def _is_contested(claimants: list[Claim]) -> bool:
    return len({(plugin.candidate.distribution, offer.target) for plugin, offer in claimants}) > 1


def _conflict(kind: Kind, name: str, claimants: list[Claim]) -> str:
    who = " and ".join(f"{plugin.candidate.distribution} {plugin.candidate.version} ({offer.target})" for plugin, offer in claimants)
    names = " or ".join(dict.fromkeys(plugin.candidate.name for plugin, _ in claimants))
    return (
        f"The {kind.words} {name!r} is offered by {who}, so neither is used. Remove one of them, or keep one out with HEADRACE_PLUGINS_DENY={names}."
    )


_registry: Registry | None = None
_registry_lock = threading.Lock()


def get_registry() -> Registry:
    """Return this process's registry for the settings that hold now. Nothing is looked for until it is asked."""
    global _registry
    policy = current_policy()
    with _registry_lock:
        if _registry is None or _registry.policy != policy:
            _registry = Registry(policy)
        return _registry


def forget_registry() -> None:
    """Look for plugins anew at the next question: one was installed meanwhile."""
    global _registry
    importlib.invalidate_caches()
    with _registry_lock:
        _registry = None
