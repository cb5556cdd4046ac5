"""Which first-party distribution brings what, for names that nothing installed offers.

The list is data, written from the offers of the plugins in this repository: `python -m headrace.plugin.catalogue` prints
it afresh, and a test holds it in step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from headrace.plugin.offers import Kind, PluginRecord

_FILE = Path(__file__).with_name("catalogue.json")


def bringing(kind: Kind, name: str) -> str | None:
    """Return the first-party distribution that offers `name`, or None."""
    return read().get(kind.value, {}).get(name)


def read() -> dict[str, dict[str, str]]:
    """Return the whole catalogue: kind → name → distribution."""
    return json.loads(_FILE.read_text(encoding="utf-8"))


def build(records: Iterable[PluginRecord]) -> dict[str, dict[str, str]]:
    """Make the catalogue from what `records` offer, built-ins and foreign distributions left out."""
    rows: dict[str, dict[str, str]] = {}
    for record in records:
        if record.is_builtin or not record.distribution.startswith("headrace-"):
            continue
        for kind, offers in record.offers.items():
            for offer in offers:
                for name in offer.names:
                    rows.setdefault(kind.value, {})[name] = record.distribution
    return {kind: dict(sorted(names.items())) for kind, names in sorted(rows.items())}


if __name__ == "__main__":
    from headrace.plugin.registry import get_registry

    sys.stdout.write(json.dumps(build(get_registry().records()), indent=1) + "\n")
