"""This process's spool: opened at the first run, in the home of that moment."""

from __future__ import annotations

from headrace.client.connect import current_client, spool_folder
from headrace.client.spool import Spool, process_spool
from headrace.settings import get_current_settings


def spool() -> Spool:
    """Return the outbox that this process's records go through."""
    return process_spool(_open)


def _open() -> Spool:
    return Spool(spool_folder(get_current_settings()), current_client())
