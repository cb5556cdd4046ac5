"""This process's spool for the present settings: opened at the first run."""

from __future__ import annotations

from headrace.client.connect import current_client, spool_folder
from headrace.client.spool import Spool, process_spool
from headrace.settings import get_current_settings

_last: tuple[object, str] = (None, "")


def spool() -> Spool:
    """Return the outbox that records go through."""
    global _last
    settings = get_current_settings()
    known, folder = _last
    if known is not settings:
        folder = str(spool_folder(settings))
        _last = (settings, folder)
    return process_spool(folder, current_client)
