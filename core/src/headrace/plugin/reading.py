"""Learns what a plugin offers by running its light module once, apart from the package around it.

Only for the plain case: a module beside its metadata whose hooks are all hooks that list offers. Whatever is different or goes wrong is
left to `loading`, which imports the plugin as anybody would and can say what is the matter. Nothing of this stays: a hook that is called
later is called on the plugin imported in full. See docs/decisions/plugin-discovery.md.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

from headrace.plugin import versions
from headrace.plugin.cache import Learned, files_of, stamp
from headrace.plugin.discovery import Candidate
from headrace.plugin.marker import MARK
from headrace.plugin.offers import DEFAULT_API_REQUIREMENT, Kind, Offer

_KINDS = {kind.hook: kind for kind in Kind}


def learn(candidate: Candidate) -> Learned | None:
    """Return what the plugin offers, or None when it has to be imported to know."""
    path = os.path.join(os.path.dirname(candidate.folder), *candidate.module.split(".")) + ".py"
    own = stamp(path)
    if own is None or candidate.target != candidate.module or candidate.module.partition(".")[0] in sys.modules:
        return None
    requires = _requirement(path)
    if not versions.is_satisfied(requires):
        return None
    loaded_before = len(sys.modules)
    try:
        module = _run(candidate.module, path)
        offers = _offers(module)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # the border to foreign code; the import that follows reports it
        return None
    if offers is None or getattr(module, "HEADRACE_PLUGIN_API_REQUIRES", requires) != requires:
        return None
    files = (own, *(file for file in files_of(candidate.module, loaded_before) if file != own))
    return Learned(offers, tuple(sorted(kind.hook for kind in offers)), requires, (), files)


def _requirement(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as source:
        return versions.declared_in(source.read()) or DEFAULT_API_REQUIREMENT


def _run(name: str, path: str) -> ModuleType:
    spec = spec_from_loader(name, SourceFileLoader(name, path))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules.pop(name, None)
    return module


def _offers(module: ModuleType) -> dict[Kind, tuple[Offer, ...]] | None:
    found: dict[Kind, tuple[Offer, ...]] = {}
    for name, function in vars(module).items():
        options = getattr(function, MARK, None)
        if options is None:
            continue
        kind = _KINDS.get(options.specname or name)
        code = getattr(function, "__code__", None)
        if kind is None or kind in found or code is None or code.co_argcount or code.co_kwonlyargcount:
            return None
        offers = tuple(function())
        if not all(isinstance(offer, Offer) for offer in offers):
            return None
        found[kind] = offers
    return found or None
