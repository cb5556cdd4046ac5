"""The child process of `headrace plugins doctor --probe`: imports all that one plugin offers and reports as JSON."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from headrace.model.errors import PluginError
from headrace.plugin import host, modules
from headrace.plugin.doctor import Finding, Level
from headrace.plugin.offers import Check, PluginRecord
from headrace.plugin.policy import Policy
from headrace.plugin.registry import Registry


def findings(name: str, distribution: str) -> Iterator[Finding]:
    """Resolve each offer of one plugin and ask it for its own checks."""
    registry = Registry(Policy(allow=frozenset({distribution})))
    record = next(r for r in registry.records() if (r.name, r.distribution) == (name, distribution))
    yield from _sdk_imports(record)
    for kind, offers in record.offers.items():
        for offer in offers:
            try:
                registry.resolve(kind, offer.name)
            except PluginError as error:
                cause = error.__cause__
                trace = "".join(traceback.format_exception(cause)) if cause else None
                yield Finding(name, Level.ERROR, str(error), traceback=trace)
    for implementation in registry.implementations("headrace_diagnose"):
        outcome = host.call(partial(_checks_of, implementation))
        if outcome.error is not None:
            trace = "".join(traceback.format_exception(outcome.error))
            yield Finding(name, Level.WARNING, f"Its own checks failed: {outcome.error!r}.", traceback=trace)
            continue
        for check in outcome.value:
            yield _of_check(name, check)


def _checks_of(implementation: host.Implementation) -> list[object]:
    return list(implementation.function())


def _of_check(name: str, check: object) -> Finding:
    if not isinstance(check, Check):
        return Finding(name, Level.WARNING, f"Its headrace_diagnose gave {check!r} instead of a Check.")
    level = {"ok": Level.INFO, "warning": Level.WARNING, "error": Level.ERROR}[check.state]
    return Finding(name, level, f"{check.name}: {check.detail}" if check.detail else check.name, check.remedy)


def _sdk_imports(record: PluginRecord) -> Iterator[Finding]:
    """Report the modules of offers that are here already, though only the light module was imported."""
    needed = sorted({m for offers in record.offers.values() for offer in offers for m in offer.modules})
    early = [name for name in needed if name in sys.modules and modules.is_available(name)]
    if early:
        yield Finding(
            record.name,
            Level.WARNING,
            f"Importing {record.target!r} imports {', '.join(early)}, so every listing pays for that.",
            "Its author should import these where they are used.",
        )


def main() -> None:
    """Read the module path from standard input, write `{"findings": [...]}` as the last line of standard output."""
    name, distribution = sys.argv[1:3]
    sys.path[:] = json.loads(sys.stdin.read())
    importlib.invalidate_caches()
    found = [asdict(finding) for finding in findings(name, distribution)]
    sys.stdout.write("\n" + json.dumps({"findings": found}) + "\n")


if __name__ == "__main__":
    main()
