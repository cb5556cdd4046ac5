"""What was learned of installed plugins, kept on disk so that a question need not import every plugin again.

An entry holds while the plugin's own files, Python and the hook API are the same. It is a copy of what the plugin said, never
a second truth: without the file everything works, only slower. See docs/decisions/plugin-discovery.md.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from headrace.plugin.discovery import Candidate
from headrace.plugin.offers import HOOK_API_VERSION, Kind, Offer

_FORMAT = 1
_ENTRIES_MAX = 2_000
_logger = logging.getLogger("headrace.plugins")

FileStamp = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Learned:
    """What importing a plugin taught: its offers, hooks and requirement, and the files that this came from."""

    offers: dict[Kind, tuple[Offer, ...]]
    hooks: tuple[str, ...]
    requires: str
    notes: tuple[str, ...]
    files: tuple[FileStamp, ...]


class OfferCache:
    """The file `plugins-<python>.json` in the cache folder. Unreadable or foreign content counts as empty."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"plugins-{sys.implementation.cache_tag}.json"
        self._header = {"format": _FORMAT, "hooks": HOOK_API_VERSION, "python": sys.version}
        self._entries: dict[str, Any] | None = None
        self._changed = False

    def get(self, candidate: Candidate) -> Learned | None:
        """Return what is known of `candidate`, or None when nothing is or its files have changed."""
        entry = self._read().get(_key(candidate))
        if entry is None:
            return None
        try:
            learned = _decode(entry)
        except (KeyError, TypeError, ValueError):
            return None
        return learned if all(stamp(path) == (path, *rest) for path, *rest in learned.files) else None

    def last_known(self, candidate: Candidate) -> Learned | None:
        """Return what the plugin offered when it was last in order, whatever happened to its files since."""
        try:
            entry = self._read().get(_key(candidate))
            return None if entry is None else _decode(entry)
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, candidate: Candidate, learned: Learned) -> None:
        """Remember `learned`; it reaches the disk with `save`."""
        entries = self._read()
        entries.pop(_key(candidate), None)
        entries[_key(candidate)] = _encode(learned)
        self._changed = True

    def save(self) -> None:
        """Write what changed, atomically. A folder that cannot be written to costs time later and nothing else."""
        if not self._changed:
            return
        self._changed = False
        entries = dict(list(self._read().items())[-_ENTRIES_MAX:])
        draft = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps({**self._header, "entries": entries}), encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            _logger.debug("What was learned of plugins could not be kept in %s: %s", self._file, error)
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        if self._entries is None:
            self._entries = self._from_disk()
        return self._entries

    def _from_disk(self) -> dict[str, Any]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            if {key: content[key] for key in self._header} == self._header and isinstance(content["entries"], dict):
                return content["entries"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return {}


def stamp(path: str) -> FileStamp | None:
    """Return what tells one content of a file from the next, or None when there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (path, status.st_mtime_ns, status.st_size)


def files_of(module: str, since: int) -> tuple[FileStamp, ...]:
    """Return stamps of the plugin's own files that may have taken part in making its offers.

    `since`: how many modules were loaded before the first of the plugin's; they are kept in the order of their loading.
    """
    top = module.partition(".")[0]
    own = [found for name, found in islice(list(sys.modules.items()), since, None) if name == top or name.startswith(f"{top}.")]
    files = {file for found in own if isinstance(file := getattr(found, "__file__", None), str)}
    return tuple(found for file in sorted(files) if (found := stamp(file)) is not None)


def _key(candidate: Candidate) -> str:
    return f"{candidate.folder}|{candidate.name}|{candidate.target}"


def _encode(learned: Learned) -> dict[str, Any]:
    return {
        "offers": {
            kind.value: [[o.name, o.target, o.summary, o.modules, o.extra, o.aliases] for o in offers] for kind, offers in learned.offers.items()
        },
        "hooks": learned.hooks,
        "requires": learned.requires,
        "notes": learned.notes,
        "files": learned.files,
    }


def _decode(entry: dict[str, Any]) -> Learned:
    offers = {Kind(kind): tuple(Offer(n, t, s, tuple(m), extra, tuple(a)) for n, t, s, m, extra, a in rows) for kind, rows in entry["offers"].items()}
    files = tuple((str(path), int(mtime), int(size)) for path, mtime, size in entry["files"])
    return Learned(offers, tuple(entry["hooks"]), entry["requires"], tuple(entry["notes"]), files)
