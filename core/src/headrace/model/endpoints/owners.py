"""Owners of runs: the processes that run them."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint

CRASH_OWNED_RUNS: Endpoint[int] = Endpoint("POST", "/owners/{id}/crash", "owners", returns=int)
OWNER_HEARTBEAT: Endpoint[None] = Endpoint("POST", "/owners/{id}/heartbeat", "owners", status=204)
"""One call for all runs of a process, every 10 seconds while it has unfinished ones, the first before its first run begins."""
