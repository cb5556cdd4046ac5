"""What the settings say about plugins, as one value. The only place of this room that reads settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.plugin.offers import normalised


@dataclass(frozen=True, slots=True)
class Policy:
    """Which plugins may be used and how startup hooks are run.

    `enabled` switches startup and database hooks, not offers. `allow` None allows all; `deny` wins over `allow`; names are
    those of entry points or distributions, in any spelling. `safe_mode` loads plugins and calls none of their hooks.
    `cache_folder` holds what was learned of installed plugins; None keeps nothing.
    """

    enabled: bool = False
    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()
    setup_timeout_seconds: float = 20.0
    strict: bool = False
    safe_mode: bool = False
    cache_folder: Path | None = None

    def refusal(self, name: str, distribution: str) -> tuple[str, str] | None:
        """Return why the lists keep a plugin out and how to let it in, or None when they do not."""
        names = {normalised(name), normalised(distribution)}
        if names & {normalised(denied) for denied in self.deny}:
            return (
                f"Plugin {name!r} is on the deny list.",
                "Take it out of HEADRACE_PLUGINS_DENY (setting plugins.deny) to use it.",
            )
        if self.allow is not None and not names & {normalised(allowed) for allowed in self.allow}:
            return (
                f"Plugin {name!r} is not on the allow list ({', '.join(sorted(self.allow)) or 'empty'}).",
                "Add it to HEADRACE_PLUGINS_ALLOW (setting plugins.allow) to use it.",
            )
        return None


def current_policy() -> Policy:
    """Read the policy from the settings that hold now."""
    from headrace.settings import get_current_settings

    settings = get_current_settings()
    plugins = settings.plugins
    return Policy(
        enabled=plugins.enabled,
        allow=None if plugins.allow is None else frozenset(plugins.allow),
        deny=frozenset(plugins.deny or ()),
        setup_timeout_seconds=plugins.setup_timeout_seconds,
        strict=plugins.strict,
        safe_mode=plugins.safe_mode,
        cache_folder=Path(settings.home) / "cache",
    )
