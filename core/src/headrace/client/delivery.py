"""Handing records to the store, in batches; and those that dead processes left."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.interface import Client
from headrace.client.patience import patience
from headrace.client.spool_file import FILE_SUFFIX, Json, Line, read_lines
from headrace.model.errors import InvalidRequest, ObjectNotFound

BATCH_RECORDS_MAX = 1_000


def deliver(client: Client, batch: list[Line]) -> None:
    """Hand a batch over; when this returns the store has it. A batch may be delivered again: each record has an id and is kept once.

    A record that the store refuses as it is would stop all that wait behind it. It is left out, and told in the log of this process.
    """
    try:
        _send(client, batch)
    except (InvalidRequest, ObjectNotFound) as error:
        if len(batch) > 1:
            middle = len(batch) // 2
            deliver(client, batch[:middle])
            deliver(client, batch[middle:])
            return
        logging.getLogger("headrace.client").error("A record was refused and is lost: %s The record: %.500s", error, batch[0][1])


def _send(client: Client, batch: list[Line]) -> None:
    body = {"task_runs": _of(batch, "t"), "logs": _of(batch, "l")}
    events, ends = _of(batch, "e"), _of(batch, "s")
    if body["task_runs"] or body["logs"]:
        from headrace.model.endpoints.records import RECORD

        drive(client.call(RECORD, body))
    if events:
        from headrace.model.endpoints.events import RECORD_EVENTS

        drive(client.call(RECORD_EVENTS, events))
    for run_id, proposal in ends:
        from headrace.model.endpoints.flow_runs import SET_FLOW_RUN_STATE

        drive(client.call(SET_FLOW_RUN_STATE, proposal, id=UUID(run_id)))


def _of(batch: list[Line], wanted: str) -> list[Json]:
    return [record for kind, record in batch if kind == wanted]


def recover(folder: Path, client: Client) -> int:
    """Deliver what dead processes left in `folder`, and mark their unfinished runs Crashed. Returns how many owners were dead.

    A file whose owner lives is locked, this process's own too, and left alone.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(FILE_SUFFIX))
    except FileNotFoundError:
        return 0
    owners = dict.fromkeys(name.split(".")[0] for name in names)
    with patience(0):
        return sum(_recover_owner(UUID(owner), [folder / name for name in names if name.startswith(owner)], client) for owner in owners)


def _recover_owner(owner: UUID, files: list[Path], client: Client) -> bool:
    """Take over all files of an owner if it is dead. Its runs are marked only when all its records are delivered."""
    with ExitStack() as held:
        descriptors: list[int] = []
        for file in files:
            try:
                descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False  # its owner lives, another process is at it, or it is another user's
            if not file.exists():
                return False  # another process was quicker
            descriptors.append(descriptor)
        for descriptor in descriptors:
            with os.fdopen(os.dup(descriptor), "rb") as lines:
                records = read_lines(lines.read())
            for start in range(0, len(records), BATCH_RECORDS_MAX):
                deliver(client, records[start : start + BATCH_RECORDS_MAX])
        drive(client.call(_crash_endpoint(), id=owner))
        for file in files:
            file.unlink(missing_ok=True)
    return True


def _crash_endpoint() -> Any:
    from headrace.model.endpoints.owners import CRASH_OWNED_RUNS

    return CRASH_OWNED_RUNS
