"""Explains every plugin that is not in order, and how to mend it. Imports plugins' own code in a child process only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headrace.model.errors import PluginError, PluginNotInstalled, near
from headrace.plugin import discovery, modules
from headrace.plugin.discovery import Candidate
from headrace.plugin.offers import Kind, Offer, PluginRecord, PluginState, normalised
from headrace.plugin.registry import Registry

PROBE_TIMEOUT_SECONDS = 60.0
_SLOW_LOAD_MS = 250.0
_OUTPUT_CHARACTERS_MAX = 2_000


class Level(StrEnum):
    """How much a finding matters: an error means that something offered cannot be used."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is worth knowing of a plugin: what is so, and what to do about it."""

    plugin: str
    level: Level
    text: str
    remedy: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """The answer to "who provides this, and can it be used?"."""

    is_usable: bool
    text: str
    offer: Offer | None = None
    provider: PluginRecord | None = None


def examine(registry: Registry, name: str | None = None, probe: bool = False, timeout_seconds: float = PROBE_TIMEOUT_SECONDS) -> list[Finding]:
    """Return what is wrong with the installed plugins, or with the one called `name`; an empty list is good news.

    With `probe` each plugin is imported with everything that it offers, in a child process of its own that may take
    `timeout_seconds`: a crash, an exit or a hang there becomes a finding. Raises PluginNotInstalled for an unknown name.
    """
    findings: list[Finding] = []
    candidates = {(c.name, c.distribution): c for c in registry.candidates()}
    for record in select(registry, name):
        if record.is_builtin:
            continue
        candidate = candidates[record.name, record.distribution]
        findings += _of_record(record)
        findings += _of_distribution(record, candidate)
        if probe and record.state in (PluginState.READY, PluginState.DEGRADED, PluginState.CONFLICTING):
            findings += _of_probe(record, timeout_seconds)
    return findings


def select(registry: Registry, name: str | None) -> tuple[PluginRecord, ...]:
    """Return the records of all plugins, or of those whose name or distribution is `name`.

    Raises PluginNotInstalled, with the near names, when there is none.
    """
    records = registry.records()
    if name is None:
        return records
    wanted = normalised(name)
    found = tuple(r for r in records if wanted in (normalised(r.name), normalised(r.distribution)))
    if not found:
        names = sorted({r.name for r in records} | {r.distribution for r in records})
        hint = near(name, names) or f"Installed are: {', '.join(names)}."
        raise PluginNotInstalled(f"No plugin called {name!r} is installed. {hint}")
    return found


def why(registry: Registry, kind: Kind, name: str) -> Reason:
    """Say who provides an offer and whether it can be used here, without importing it."""
    try:
        offer, record = registry.find(kind, name), registry.provider(kind, name)
    except PluginError as error:
        return Reason(False, str(error))
    missing = [module for module in offer.modules if not modules.is_available(module)]
    source = "headrace itself" if record.is_builtin else f"{record.distribution} {record.version}"
    text = f"The {kind.words} {name!r} is provided by {source} ({offer.target})."
    if name != offer.name:
        text += f" It is an alias of {offer.name!r}."
    if missing:
        return Reason(False, f"{text} It cannot be used: {', '.join(missing)} missing. {record.remedy}", offer, record)
    return Reason(True, text, offer, record)


def _of_record(record: PluginRecord) -> Iterator[Finding]:
    match record.state:
        case PluginState.READY:
            pass
        case PluginState.DENIED:
            yield Finding(record.name, Level.INFO, record.reason or "", record.remedy)
        case PluginState.DEGRADED:
            yield Finding(record.name, Level.WARNING, record.reason or "", record.remedy, record.traceback)
        case PluginState.BROKEN | PluginState.INCOMPATIBLE | PluginState.CONFLICTING:
            yield Finding(record.name, Level.ERROR, record.reason or "", record.remedy, record.traceback)
    for note in record.notes:
        yield Finding(record.name, Level.WARNING, note)
    if record.load_ms is not None and record.load_ms > _SLOW_LOAD_MS:
        yield Finding(
            record.name,
            Level.WARNING,
            f"Importing {record.target!r} took {record.load_ms:.0f} ms; a plugin's light module should take a few.",
            "Its author should move SDK imports out of that module and out of the package's __init__.",
        )


def _of_distribution(record: PluginRecord, candidate: Candidate) -> Iterator[Finding]:
    for folder in candidate.shadows:
        yield Finding(
            record.name,
            Level.WARNING,
            f"{record.distribution} is installed twice: {candidate.folder} is used, {folder} is not.",
            "Remove the one that you do not want.",
        )
    from packaging.requirements import InvalidRequirement, Requirement

    details = discovery.details(candidate)
    if details is None:
        yield Finding(
            record.name, Level.WARNING, f"Its metadata in {candidate.folder} are damaged.",
            f"`pip install --force-reinstall {record.distribution}`",
        )  # fmt: skip
        return
    for text in details.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            yield Finding(record.name, Level.WARNING, f"Its requirement {text!r} cannot be read.")
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = discovery.installed_version(requirement.name)
        if version is None:
            yield Finding(
                record.name, Level.ERROR, f"It requires {requirement}, which is not installed.",
                f"`pip install '{requirement}'`",
            )  # fmt: skip
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Finding(
                record.name, Level.ERROR, f"It requires {requirement}, and {version} is installed.",
                f"`pip install '{requirement}'`, or `pip install --upgrade {record.distribution}`",
            )  # fmt: skip


def _of_probe(record: PluginRecord, timeout_seconds: float) -> Iterator[Finding]:
    command = [sys.executable, "-m", "headrace.plugin.probe", record.name, record.distribution]
    advice = f"Upgrade or remove it, or keep it out with HEADRACE_PLUGINS_DENY={record.name}."
    try:
        # The child looks for plugins where we do, even where this process was given its path by hand.
        done = subprocess.run(command, input=json.dumps(sys.path), capture_output=True, text=True, timeout=timeout_seconds, check=False)
    except subprocess.TimeoutExpired:
        yield Finding(record.name, Level.ERROR, f"Importing what it offers did not end within {timeout_seconds:g} seconds.", advice)
        return
    answer = _answer(done.stdout)
    if answer is None:
        tail = (done.stderr or done.stdout)[-_OUTPUT_CHARACTERS_MAX:].strip()
        yield Finding(
            record.name,
            Level.ERROR,
            f"Importing what it offers ended the process with code {done.returncode}.",
            advice,
            tail or None,
        )
        return
    for row in answer:
        yield Finding(record.name, Level(row["level"]), row["text"], row["remedy"], row["traceback"])


def _answer(output: str) -> Sequence[dict[str, Any]] | None:
    """Return the probe's findings from its last line, or None when it did not get that far."""
    lines = output.splitlines()
    try:
        answer = json.loads(lines[-1])["findings"] if lines else None
    except (ValueError, KeyError, TypeError):
        return None
    return answer
