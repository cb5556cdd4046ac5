"""Telling how far a long transfer of an image is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

PROGRESS_SECONDS = 2.0
"""How often the sum of what was moved is told."""


class Transfer:
    """Tells by `say` how much was moved in all, every `seconds`; with `is_detailed` also what becomes of each layer.

    `verb`: what is done, as "Sent". It takes what an engine tells while it pushes or pulls.
    """

    def __init__(self, say: Callable[[str], object], verb: str, seconds: float = PROGRESS_SECONDS, is_detailed: bool = True) -> None:
        self._say, self._verb, self._seconds, self._is_detailed = say, verb, seconds, is_detailed
        self._moved: dict[str, tuple[int, int]] = {}
        self._said: dict[str, str] = {}
        self._told = time.monotonic()

    def take(self, piece: Mapping[str, Any]) -> None:
        """Take one piece of what the engine tells."""
        layer, status, detail = str(piece.get("id", "")), str(piece.get("status", "")), piece.get("progressDetail") or {}
        if detail.get("total") and status != "Extracting":  # which counts from nothing again
            self._moved[layer] = (detail.get("current", 0), detail["total"])
            if time.monotonic() - self._told >= self._seconds:
                self._told = time.monotonic()
                moved, total = (sum(column) for column in zip(*self._moved.values(), strict=True))
                self._say(f"{self._verb} {moved / 1e6:.1f} of {total / 1e6:.1f} MB")
        if self._is_detailed and status and self._said.get(layer) != status:
            self._said[layer] = status
            self._say(f"{layer}: {status}" if layer else status)
