"""Exit statuses in words."""

from __future__ import annotations

import signal

_EXPLAINED = {
    -9: "It was killed (SIGKILL); most likely it needed more memory than there was, or somebody ended it by force.",
    -15: "It was told to terminate (SIGTERM), as when it is cancelled or its machine shuts down.",
    125: "The container could not be started.",
    126: "The command was found but could not be executed: see its permissions.",
    127: "The command was not found: see the command and PATH.",
    137: "It was killed (SIGKILL); most likely it needed more memory than there was.",
    143: "It was told to terminate (SIGTERM).",
    247: "It was killed; most likely it needed more memory than there was.",
    0xC000013A: "It was ended by Ctrl-C or Ctrl-Break, or its window was closed.",
    0xC0000005: "It touched memory that is not its own (access violation).",
    0xC0000142: "A library failed to start, often because a window station is missing.",
}


def explain(status: int) -> str:
    """Return what an exit status says, a sentence or nothing. Negative: the number of a signal."""
    if status in _EXPLAINED:
        return _EXPLAINED[status]
    number = -status if status < 0 else status - 128
    if status < 0 or 128 < status < 160:
        try:
            return f"It was ended by the signal {signal.Signals(number).name}."
        except ValueError:
            return ""
    return ""
