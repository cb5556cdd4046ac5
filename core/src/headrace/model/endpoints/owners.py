"""Owners of runs: the processes that run them."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint

CRASH_OWNED_RUNS: Endpoint[int] = Endpoint("POST", "/owners/{id}/crash", "owners", returns=int)
