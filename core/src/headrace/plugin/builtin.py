"""What headrace itself offers, through the same hooks as any plugin. Whoever adds a built-in adds its line here."""

from __future__ import annotations

from headrace.plugin.marker import hookimpl
from headrace.plugin.offers import Offer


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Block types that need no other distribution."""
    return [
        Offer("secret", "headrace.blocks.system:Secret", "A value that must not be seen"),
    ]
