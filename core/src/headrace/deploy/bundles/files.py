"""The files that travel with a bundle: which they are, their archive, and where the other side finds them."""

from __future__ import annotations

import hashlib
import inspect
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.model.errors import PathValidationError
from headrace.objects.ignore import IgnoreRules, read_rules

if TYPE_CHECKING:
    from headrace.engine.flow import Flow

IGNORE_FILES = (".headraceignore", ".prefectignore")
PROJECT_MARK = "pyproject.toml"
_ALWAYS_LEFT_OUT = IgnoreRules(
    [
        *("__pycache__/", "*.pyc", "*.pyo", ".git/", ".hg/", ".svn/", "node_modules/", ".venv/", "venv/", ".idea/", ".vscode/"),
        *(".DS_Store", "Thumbs.db", ".*"),
    ]
)
"""What is in no bundle unless it is named itself; hidden files are among it."""
_SENSITIVE = IgnoreRules([".env*", "*.pem", "*.key", "credentials.*"])
_WILD = "*?["
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The time of all files in an archive, so that the same files make the same archive."""

logger = logging.getLogger("headrace.bundles")


@dataclass(frozen=True, slots=True)
class _Rules:
    """An ignore file's patterns, and the folder that they are about."""

    folder: Path
    patterns: IgnoreRules

    def leave_out(self, file: Path) -> bool:
        """Say whether a file, or a folder that it is in, is left out."""
        return _is_left_out(self.patterns, file.relative_to(self.folder))


def checked_patterns(patterns: Sequence[Any] | None) -> tuple[str, ...]:
    """Return the patterns of `include_files`. Raises `ValueError` for what is no list of texts, or has a blank one."""
    given: list[Any] = [None] if isinstance(patterns, str) else list(patterns or ())
    wrong = [one for one in given if not isinstance(one, str) or not one.strip("! \t\r\n")]
    if wrong:
        told = repr(patterns) if isinstance(patterns, str) else repr(wrong[0])
        raise ValueError(f"include_files is a list of paths and patterns, as ['config.yaml', 'data/', '*.csv', '!*.tmp']; {told} is none.")
    return tuple(given)


def collect_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the files below a folder that patterns name, sorted, relative to it.

    Patterns are taken in order: a file, a directory with all that is in it, a glob (`*` stays within a directory, `**` goes across), or after
    `!` what of these is left out again, at any depth. What an ignore file of the folder or of its project matches is left out however it was
    named. Raises `PathValidationError` for what is not there, and for what lies outside the folder.
    """
    folder = folder.resolve()
    found: dict[Path, None] = {}
    for pattern in patterns:
        if pattern.startswith("!"):
            rules = IgnoreRules([pattern[1:]])
            found = {file: None for file in found if not _is_left_out(rules, file)}
            continue
        matching = list(_matching(folder, pattern))
        if not matching:
            logger.warning("The pattern %r of include_files matches no file in %s.", pattern, folder)
        found.update(dict.fromkeys(matching))
    ignored = list(_ignore_rules(folder))
    files = sorted(file for file in found if not any(rules.leave_out(folder / file) for rules in ignored))
    for file in files:
        _check_inside(folder, file)
    told = [file.as_posix() for file in files if _SENSITIVE.ignores(file.as_posix())]
    if told:
        logger.warning(
            "Files that look like secrets travel with the bundle: %s. Name them in %s to keep them here.", ", ".join(told), IGNORE_FILES[0]
        )
    return files


def archive_files(flow: Flow[..., Any], patterns: Sequence[str]) -> tuple[Path, str] | None:
    """Pack the files that go with a flow, and return the archive and the key it is kept under; None when there are none.

    The archive stands in a new temporary folder of its own, which is the caller's to remove. Raises `PathValidationError`.
    """
    folder = _folder_of(flow)
    files = collect_files(folder, patterns)
    if not files:
        return None
    path = Path(tempfile.mkdtemp(prefix="headrace-files-")) / "files.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.as_posix(), _MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = ((folder / file).stat().st_mode & 0o777 | 0o100000) << 16
            with (folder / file).open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return path, f"files/{digest}.zip"


def unpack_files(archive: Path, into: Path) -> None:
    """Put the files of an archive into a folder; those that are there are replaced."""
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            path = packed.extract(entry, into)
            if mode := entry.external_attr >> 16 & 0o777:
                Path(path).chmod(mode)


def _folder_of(flow: Flow[..., Any]) -> Path:
    """Return the folder of the flow's file; the working directory for a flow that stands in none, as in a notebook."""
    file = Path(inspect.unwrap(flow.fn).__code__.co_filename)
    return file.resolve().parent if file.is_file() else Path.cwd()


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    path = Path(pattern)
    if path.is_absolute() or ".." in path.parts:
        raise PathValidationError(f"include_files has {pattern!r}, which leads out of {str(folder)!r}. Give paths below the flow's own folder.")
    named = folder / path
    if named.is_dir():
        _check_inside(folder, path)
        for file in _ALWAYS_LEFT_OUT.files_in(named):
            yield path / file
    elif named.is_symlink() or named.exists():
        yield path
    elif any(letter in pattern for letter in _WILD):
        rules = IgnoreRules([f"/{pattern.removeprefix('./')}"])
        for file in _ALWAYS_LEFT_OUT.files_in(folder):
            if _is_left_out(rules, file):
                yield file
    else:
        raise PathValidationError(f"include_files has {pattern!r}, and there is no such file or directory in {str(folder)!r}.")


def _is_left_out(rules: IgnoreRules, file: Path) -> bool:
    above = [parent.as_posix() for parent in file.parents if parent != Path(".")]
    return any(rules.ignores(parent, is_directory=True) for parent in above) or rules.ignores(file.as_posix())


def _check_inside(folder: Path, file: Path) -> None:
    try:
        place = (folder / file).resolve(strict=True)
    except (OSError, RuntimeError) as error:  # a link to nothing, or one that leads to itself
        raise PathValidationError(f"include_files takes in {file.as_posix()!r}, which cannot be followed: {error}") from error
    if not place.is_relative_to(folder):
        raise PathValidationError(f"include_files takes in {file.as_posix()!r}, a link that leads out of {str(folder)!r} to {str(place)!r}.")


def _ignore_rules(folder: Path) -> Iterator[_Rules]:
    """Find the ignore files of a folder and of the project that it is in."""
    project = next((one for one in (folder, *folder.parents) if (one / PROJECT_MARK).is_file()), folder)
    for place in dict.fromkeys((folder, project)):
        for name in IGNORE_FILES:
            if (place / name).is_file():
                yield _Rules(place, read_rules(place / name))
