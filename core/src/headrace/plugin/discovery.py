"""Which distributions on `sys.path` have an entry point of a group. The only user of `importlib_metadata`.

Folders are read directly, since that library costs more to import than all plugins together; it is asked for what lies
in other places (archives) and for the details that only reports show. See docs/decisions/plugin-discovery.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.plugin.offers import ENTRY_POINT_GROUP, normalised

if TYPE_CHECKING:
    from importlib_metadata import Distribution, EntryPoint


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point found: `target` is its value, `folder` is where its metadata lies.

    `shadows` are folders of the same distribution further down the path, which Python's import would not see either.
    """

    name: str
    target: str
    distribution: str
    version: str
    folder: str
    shadows: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module that the entry point names."""
        return self.target.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Details:
    """What a distribution says of itself, for reports."""

    summary: str
    requires: tuple[str, ...]
    homepage: str | None


def discover(path: Sequence[str] | None = None, group: str = ENTRY_POINT_GROUP) -> tuple[Candidate, ...]:
    """Find the entry points of `group` on `path` (default: `sys.path`), sorted by name and distribution.

    Imports no plugin. Of a distribution that is installed twice, the first on the path counts, as for `import`.
    """
    found: dict[str, list[Candidate]] = {}
    first_folder: dict[str, str] = {}
    shadows: dict[str, list[str]] = {}
    for entry in dict.fromkeys(sys.path if path is None else path):
        for distribution, version, folder, text in _metadata_in(entry or os.curdir):
            key = normalised(distribution)
            if first_folder.setdefault(key, folder) != folder:
                shadows.setdefault(key, []).append(folder)
                continue
            for name, target in _entry_points(text, group):
                found.setdefault(key, []).append(Candidate(name, target, distribution, version, folder))
    candidates = [
        Candidate(c.name, c.target, c.distribution, c.version, c.folder, tuple(shadows.get(key, ())))
        for key, group_candidates in found.items()
        for c in group_candidates
    ]
    return tuple(sorted(candidates, key=lambda c: (c.name, c.distribution)))


def _metadata_in(entry: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield (distribution, version, folder, text of entry_points.txt) for each distribution under one path entry."""
    try:
        with os.scandir(entry) as listing:
            names = sorted(item.name for item in listing if item.name.endswith((".dist-info", ".egg-info")))
    except NotADirectoryError:
        yield from _metadata_in_archive(entry)
        return
    except OSError:
        return
    for name in names:
        folder = os.path.join(entry, name)
        file = os.path.join(folder, "entry_points.txt")
        try:
            with open(file, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
        except OSError:
            continue
        distribution, _, version = name.rpartition(".")[0].partition("-")
        # An .egg-info folder may carry a Python tag after the version, or nothing but the name.
        yield distribution.replace("_", "-"), version.split("-py")[0], folder, text


def _metadata_in_archive(entry: str) -> Iterator[tuple[str, str, str, str]]:
    import importlib_metadata

    found = importlib_metadata.distributions(path=[entry])  # pyright: ignore[reportUnknownMemberType]  # untyped keywords
    for distribution in found:
        text: str | None = distribution.read_text("entry_points.txt")  # pyright: ignore[reportUnknownMemberType]  # untyped keywords
        if text and distribution.metadata is not None:
            name = distribution.metadata["Name"]
            folder = os.path.join(entry, f"{name}-{distribution.version}")
            yield name, distribution.version, folder, text


def _entry_points(text: str, group: str) -> Iterator[tuple[str, str]]:
    """Yield (name, value) from one section of an entry_points.txt (PyPA entry points specification)."""
    if group not in text:
        return
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and "=" in line:
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].replace(" ", "")  # extras after the value mean nothing any more


def _distribution(candidate: Candidate) -> Distribution | None:
    import importlib_metadata

    try:
        if not os.path.isdir(candidate.folder):
            return importlib_metadata.distribution(candidate.distribution)
    except importlib_metadata.PackageNotFoundError:
        return None
    found = importlib_metadata.Distribution.at(candidate.folder)
    files = (os.path.join(candidate.folder, name) for name in ("METADATA", "PKG-INFO"))
    return found if any(map(os.path.isfile, files)) else None


def details(candidate: Candidate) -> Details | None:
    """Read what the candidate's distribution says of itself, or None when its metadata are damaged."""
    found = _distribution(candidate)
    metadata = None if found is None else found.metadata
    if found is None or metadata is None:
        return None
    urls = [url.partition(",")[2].strip() for url in metadata.get_all("Project-URL") or []]
    homepage = metadata.get("Home-page") or (urls[0] if urls else None)
    return Details(metadata.get("Summary") or "", tuple(found.requires or ()), homepage)


def extras(candidate: Candidate) -> tuple[str, ...]:
    """Return the names of the extras that the candidate's distribution has."""
    found = _distribution(candidate)
    metadata = None if found is None else found.metadata
    return () if metadata is None else tuple(metadata.get_all("Provides-Extra") or ())


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    import importlib_metadata

    try:
        return importlib_metadata.version(distribution)
    except importlib_metadata.PackageNotFoundError:
        return None


def entry_points(group: str) -> Sequence[EntryPoint]:
    """Return the entry points of `group` as the standard objects that the documented collection functions take."""
    import importlib_metadata

    return list(importlib_metadata.entry_points(group=group))  # pyright: ignore[reportUnknownMemberType]  # untyped keywords
