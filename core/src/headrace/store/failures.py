"""What can go wrong with the file, told once and clearly: what happened, why, what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from headrace.model.errors import StoreError, StoreUnavailable

_CAUSES: tuple[tuple[str, str], ...] = (
    ("database or disk is full", "The disk that holds {path} is full, so nothing could be written. Free some space, then run again."),
    (
        "attempt to write a readonly database",
        "The database {path} may not be written. Give this user write access to the file and its folder, or set HEADRACE_HOME to another.",
    ),
    (
        "unable to open database file",
        "The database {path} cannot be opened. Check that its folder exists and that this user may write there, or set HEADRACE_HOME.",
    ),
    (
        "file is not a database",
        "{path} is not a database: its content is damaged or something else was written there. "
        "Move it away (a new one is made at the next run) or put a backup in its place.",
    ),
    (
        "malformed",
        "The database {path} is damaged. Stop what uses it, rescue what is readable with `sqlite3 {path} .recover`, or put a backup in its place.",
    ),
    (
        "database is locked",
        "Another process keeps the database {path} locked. "
        "Look for a program that holds it open (a backup, a database browser, a stopped process) and end it.",
    ),
    ("disk i/o error", "Reading or writing {path} failed. Check the disk, its free space, and that it is not a network share."),
)


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether another connection holds the lock."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) if hasattr(error, "sqlite_errorcode") else False


def reraise(error: BaseException, path: Path | None) -> None:
    """Raise `StoreError` in place of a driver's error about the file; return for every other."""
    cause = getattr(error, "orig", error)
    if not isinstance(cause, sqlite3.DatabaseError):
        return
    text = str(cause).lower()
    for sign, message in _CAUSES:
        if sign in text:
            raise (StoreUnavailable if "is locked" in sign else StoreError)(message.format(path=path or "in memory")) from error


def make_folder(folder: Path) -> None:
    """Make the database's folder. Raises `StoreError` when that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made ({error.strerror}). Give this user access to it, or set HEADRACE_HOME to another folder."
        ) from error


def refuse_foreign_tables(raw: sqlite3.Connection, path: Path | None) -> None:
    """Raise `StoreError` when the file holds tables of another program."""
    row = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' LIMIT 1").fetchone()
    if row is not None:
        raise StoreError(
            f"The database {path} belongs to another program: it has a table '{row[0]}' but no version of headrace. "
            "Set HEADRACE_SERVER_DATABASE_CONNECTION_URL to another file."
        )
