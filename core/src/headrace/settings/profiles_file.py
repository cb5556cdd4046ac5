"""The file `profiles.toml`: reading it, and changing it without losing anything, between processes too.

Values stay as written; `profiles` gives them meaning.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from headrace.model.errors import StoreError
from headrace.settings.errors import BrokenFileError
from headrace.settings.sources import read_text, read_toml

DEFAULT_PROFILE = "ephemeral"
# In force without a profiles file, and under a user's profile of another name. `ephemeral` sets nothing: without an
# API address, runs are kept in the embedded database.
BUILT_IN_PROFILES: dict[str, dict[str, str]] = {
    "ephemeral": {},
    "local": {"HEADRACE_API_URL": "http://127.0.0.1:4200/api"},
    "test": {"HEADRACE_SERVER_DATABASE_CONNECTION_URL": "sqlite:///file::memory:?cache=shared&uri=true"},
}


class ProfilesFile(NamedTuple):
    """What the file says, unchecked: the active profile and each profile's names and values."""

    path: Path
    active: str | None
    profiles: dict[str, dict[str, object]]


def read_profiles_file(path: Path) -> ProfilesFile:
    """Read the file; one that does not exist is empty. Raises `BrokenFileError` with file and line."""
    if not path.exists():
        return ProfilesFile(path, None, {})
    document = read_toml(path)
    active = document.get("active")
    if active is not None and not isinstance(active, str):
        raise BrokenFileError(f"{path}: `active` should be the name of a profile, not {active!r}.")
    found: dict[str, dict[str, object]] = {}
    tables: dict[str, Any] = document.get("profiles", {})
    if not isinstance(tables, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # the file may say anything
        raise BrokenFileError(f"{path}: `profiles` should be a table of profiles, `[profiles.NAME]`.")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BrokenFileError(f"{path}: Profile {name!r} should be a table, `[profiles.{name}]`.")
        found[name] = dict(table)  # pyright: ignore[reportUnknownArgumentType]  # as the file has it
    return ProfilesFile(path, active or None, found)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Keep other processes from changing the file while the block runs. Waits for its turn."""
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def rewrite(path: Path, active: str | None, profiles: dict[str, dict[str, str]], dropped: dict[str, set[str]]) -> None:
    """Write what `rewritten` makes of the file, unless nothing changes. Call it inside `locked`."""
    text = text_of(path)
    changed = rewritten(text, active, profiles, dropped)
    if changed != text:
        write_text(path, changed)


def text_of(path: Path) -> str:
    """Return the text of the file, empty if there is none."""
    return read_text(path) if path.exists() else ""


def rewritten(text: str, active: str | None, profiles: dict[str, dict[str, str]], dropped: dict[str, set[str]]) -> str:
    """Return the file with changes, keeping its comments, its order and all that is not named here.

    `profiles` has the values to set in each profile; profiles that are not in it are removed. `dropped` has names to
    remove from a profile.
    """
    import tomlkit

    document: Any = tomlkit.parse(text)  # a mapping; tomlkit's types say too little
    if active is None:
        document.pop("active", None)
    elif "active" not in document:  # at the top: after a table it would belong to that table
        head = tomlkit.dumps({"active": active})  # pyright: ignore[reportUnknownMemberType]  # tomlkit's functions are partly typed
        document = tomlkit.parse(f"{head}\n{text}")
    elif document["active"] != active:
        document["active"] = active
    if "profiles" not in document and profiles:
        document["profiles"] = tomlkit.table(is_super_table=True)
    tables: dict[str, Any] = document.get("profiles", {})
    for name in [name for name in tables if name not in profiles]:
        del tables[name]
    for name, values in profiles.items():
        if name not in tables:
            tables[name] = tomlkit.table()
        table: dict[str, Any] = tables[name]
        for gone in dropped.get(name, set()) & set(table):
            del table[gone]
        for key, value in values.items():
            if key not in table or str(table[key]) != value:
                table[key] = value
    return tomlkit.dumps(document)  # pyright: ignore[reportUnknownMemberType]  # tomlkit's functions are partly typed


def rename_table(path: Path, old: str, new: str) -> None:
    """Give a profile of the file another name, keeping its place and comments. Call it inside `locked`."""
    import tomlkit

    document: Any = tomlkit.parse(read_text(path))
    tables: dict[str, Any] = document["profiles"]
    entries = [(new if name == old else name, tables[name]) for name in list(tables)]
    for name in list(tables):
        del tables[name]
    for name, table in entries:
        tables[name] = table
    if document.get("active") == old:
        document["active"] = new
    write_text(path, tomlkit.dumps(document))  # pyright: ignore[reportUnknownMemberType]  # tomlkit's functions are partly typed


def write_text(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner alone. A symbolic link keeps pointing at the changed file."""
    from headrace.model import ids

    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{ids.random_hex(4)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: Cannot be written ({error.strerror}). Check the permissions of {path.parent}.")
