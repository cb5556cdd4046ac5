"""One installed plugin as the registry holds it while it learns more about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from headrace.plugin.cache import Learned
from headrace.plugin.discovery import Candidate
from headrace.plugin.offers import DEFAULT_API_REQUIREMENT, Kind, Offer, PluginRecord, PluginState


@dataclass(slots=True)
class Loaded:
    """What is known of one candidate. `key` names it in the host; `is_imported` says whether the host has it."""

    candidate: Candidate
    offers: dict[Kind, tuple[Offer, ...]] = field(default_factory=dict[Kind, tuple[Offer, ...]])
    hooks: tuple[str, ...] = ()
    requires: str = DEFAULT_API_REQUIREMENT
    state: PluginState = PluginState.READY
    reason: str | None = None
    remedy: str | None = None
    traceback: str | None = None
    notes: tuple[str, ...] = ()
    load_ms: float | None = None
    is_imported: bool = False

    @property
    def key(self) -> str:
        return f"{self.candidate.name} ({self.candidate.distribution})"

    @property
    def title(self) -> str:
        """The plugin's name and where it comes from, for messages."""
        return f"Plugin {self.candidate.name!r} ({self.candidate.distribution} {self.candidate.version})"


def from_cache(candidate: Candidate, learned: Learned) -> Loaded:
    """Make a plugin from what was learned of it earlier; nothing of it is imported."""
    return Loaded(candidate, learned.offers, learned.hooks, learned.requires, notes=learned.notes)


def record_of(plugin: Loaded, missing: tuple[str, ...]) -> PluginRecord:
    """Return the plugin as others see it. `missing` are modules of its offers that are not installed."""
    state, reason, remedy = plugin.state, plugin.reason, plugin.remedy
    if missing and state is PluginState.READY:
        state = PluginState.DEGRADED
        reason = f"{plugin.title} is installed, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
        remedy = "Install what its offers need: " + ", ".join(sorted({install_hint(plugin, m) for m in missing})) + "."
    found = plugin.candidate
    return PluginRecord(
        name=found.name,
        distribution=found.distribution,
        version=found.version,
        target=found.target,
        state=state,
        requires=plugin.requires,
        offers=dict(plugin.offers),
        hooks=plugin.hooks,
        reason=reason,
        remedy=remedy,
        traceback=plugin.traceback,
        missing=missing,
        notes=plugin.notes,
        load_ms=plugin.load_ms,
    )


def install_hint(plugin: Loaded, module: str) -> str:
    """Return the command that brings a missing module of one of the plugin's offers."""
    extras = sorted({o.extra for offers in plugin.offers.values() for o in offers if module in o.modules and o.extra})
    if extras:
        return f"`pip install '{plugin.candidate.distribution}[{','.join(extras)}]'`"
    return f"`pip install --force-reinstall {plugin.candidate.distribution}` (it should have brought {module})"
