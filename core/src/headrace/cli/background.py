"""Processes that run in the background, one of a kind for each home directory: started, found and stopped by a locked file.

The process holds the lock of its file for as long as it lives, so a file that is left over, or a process id that another program got, mislead
nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headrace.cli.render import fail
from headrace.model import clock

POLL_SECONDS = 0.05
STOP_SECONDS_MAX = 30.0
_LOG_LINES_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Background:
    """What is known of one kind of process: `name` for its file in `home` and for messages."""

    home: Path
    name: str

    @property
    def file(self) -> Path:
        """The file that the process locks; it holds the process id and an address."""
        return self.home / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """Where the process writes what it has to say."""
        return self.home / f"{self.name}.log"

    def claim(self, url: str) -> IO[str]:
        """Take the file for this process, which must keep what is returned. Ends the command when another has it."""
        self.home.mkdir(parents=True, exist_ok=True)
        held = open(self.file, "a+", encoding="utf-8")  # noqa: SIM115  # kept open as long as the process lives
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._fail_running()
        held.seek(0)
        held.truncate()
        json.dump({"pid": os.getpid(), "url": url}, held)
        held.flush()
        return held

    def running(self) -> tuple[int, str] | None:
        """Return process id and address of the one that runs, if one does."""
        try:
            with open(self.file, encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    found = json.load(file)
                    return found["pid"], found["url"]
        except (FileNotFoundError, ValueError, KeyError):
            pass
        return None

    def start(self, arguments: Sequence[str], is_up: Callable[[], bool], seconds_max: float) -> int:
        """Run `headrace` with these arguments in the background, and wait until `is_up`. Return its process id; ends the command if it fails."""
        if self.running() is not None:
            self._fail_running()
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            before = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "headrace", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = clock.monotonic() + seconds_max
        while not is_up():
            if process.poll() is not None:
                fail(
                    f"The {self.name} ended with status {process.returncode} before it was ready.\n{self._end_of_log(before)}",
                    f"Its log is {self.log}.",
                )
            if clock.monotonic() > deadline:
                process.terminate()
                fail(f"The {self.name} was not ready within {seconds_max:.0f} seconds and was ended.", f"Its log is {self.log}.", 8)
            clock.sleep(POLL_SECONDS)
        return process.pid

    def stop(self) -> int | None:
        """Stop the one that runs and wait for its end. Return its process id, or None when none runs."""
        found = self.running()
        if found is None:
            self.file.unlink(missing_ok=True)
            return None
        os.kill(found[0], signal.SIGTERM)
        deadline = clock.monotonic() + STOP_SECONDS_MAX
        while self.running() is not None:
            if clock.monotonic() > deadline:
                fail(f"The {self.name} (process {found[0]}) has not ended within {STOP_SECONDS_MAX:.0f} seconds.", f"Its log is {self.log}.", 8)
            clock.sleep(POLL_SECONDS)
        self.file.unlink(missing_ok=True)
        return found[0]

    def _fail_running(self) -> None:
        found = self.running()
        told = f" (process {found[0]}{', ' + found[1] if found[1] else ''})" if found else ""
        fail(f"A {self.name} of this home runs in the background already{told}.", f"`headrace {self.name} stop` ends it.")

    def _end_of_log(self, start: int) -> str:
        lines = self.log.read_bytes()[start:].decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-_LOG_LINES_SHOWN:])
