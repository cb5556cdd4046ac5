"""What a container has written, read piece by piece, each line once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from headrace.workers.remote import JobLogs

OVERLAP = timedelta(seconds=2)
"""How far back the next reading begins: an engine writes both streams of a container into one log, a little out of the order of their times."""

PIECE_SIZE = 16 * 1024
"""What an engine notes of a line at once (moby, daemon/logger/copier.go, `defaultBufSize`)."""


def since(after: str | None) -> int | None:
    """Return from when on the engine is asked for the lines behind `after`, in seconds since the epoch. None: from the start."""
    return int(after.partition(" ")[0]) if after else None


def lines_after(written: Iterable[bytes], after: str | None, is_terminal: bool, is_over: bool) -> JobLogs:
    """Return the lines behind `after`, which has a second and how many lines from that second on were returned before.

    `written`: the log since that second, with times; each piece is what the engine noted at once, but that of a terminal is cut anywhere. A line that
    is not whole is left for the next time, unless the container `is_over`.
    """
    lines = _split(written, is_over) if is_terminal else _joined(written, is_over)
    began, _, count = (after or "0 0").partition(" ")
    new = [text for _, text in lines[int(count) :]]
    if not new:
        return JobLogs(after=after)
    begin = max(int(began), int((_time(max(moment for moment, _ in lines)) - OVERLAP).timestamp()))
    kept = sum(_time(moment).timestamp() >= begin for moment, _ in lines)
    return JobLogs(new, f"{begin} {kept}")


def _joined(written: Iterable[bytes], is_over: bool) -> list[tuple[str, str]]:
    """Return lines with their times from pieces that each begin with a time: a line, or a part of a long one, which ends with a shorter piece."""
    lines: list[tuple[str, str]] = []
    moment, parts = "", list[str]()
    for piece in written:
        time, _, said = piece.partition(b" ")
        moment = time.decode()
        parts.append(said.decode(errors="replace"))
        if said.endswith(b"\n") or len(said) < PIECE_SIZE:
            lines.append((moment, "".join(parts).rstrip("\r\n")))
            parts = []
    return [*lines, (moment, "".join(parts))] if parts and is_over else lines


def _split(written: Iterable[bytes], is_over: bool) -> list[tuple[str, str]]:
    """Return lines with their times from text whose lines begin with a time."""
    whole = b"".join(written).decode(errors="replace")
    whole = whole if is_over else whole.rpartition("\n")[0]
    return [(moment, text.rstrip("\r")) for moment, _, text in (line.partition(" ") for line in whole.split("\n") if line)]


def _time(moment: str) -> datetime:
    """Return one of the engine's times, which are to the nanosecond, to the second."""
    return datetime.fromisoformat(moment[:19]).replace(tzinfo=UTC)
