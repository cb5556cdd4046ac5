"""One shell process: a script in a temporary file, both streams read line by line, and the end of its whole group."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import IO, Any, Self

from headrace.utilities.asyncutils import in_blocking_run

_IS_WINDOWS = os.name == "nt"
_STDERR_LINES_KEPT = 50
_DRAIN_SECONDS = 2.0
_FAILURE = "\x1f"  # between the parts of a record of a failed command: the ASCII unit separator

LineHandler = Callable[[int, str], None]


class _Latch:
    """Something that happens once, to be waited for by threads and by event loops."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            with contextlib.suppress(RuntimeError):  # its event loop is closed, so nobody waits there
                callback()

    async def wait(self, timeout_seconds: float | None) -> bool:
        """Wait: blocking in a blocking run, on the event loop in an async one. False when the time was up."""
        if in_blocking_run():
            return self._event.wait(timeout_seconds)
        import asyncio

        loop = asyncio.get_running_loop()
        happened = asyncio.Event()
        with self._lock:
            if self.is_set:
                return True
            self._callbacks.append(lambda: loop.call_soon_threadsafe(happened.set))
        try:
            await asyncio.wait_for(happened.wait(), timeout_seconds)
        except TimeoutError:
            return False
        return True


class ChildProcess:
    """A running or finished script. Made by `start`; nothing is read before `follow`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, on_line: LineHandler | None) -> None:
        self.lines: list[str] = []
        self.stderr_tail: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        self.failures: list[tuple[int, str]] = []
        self._process = process
        self._folder = folder
        self._on_line = on_line
        self._done = _Latch()  # the shell has ended, and what it wrote was read
        self._gone = _Latch()  # nobody holds the streams any more, background processes included
        self._readers: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        """The id of the shell, which is also that of its process group."""
        return self._process.pid

    @property
    def return_code(self) -> int | None:
        """What the shell returned, None while it runs; on POSIX, minus the signal that ended it."""
        return self._process.poll()

    @property
    def is_done(self) -> bool:
        """Whether the shell has ended and what it wrote was read."""
        return self._done.is_set

    def follow(self) -> Self:
        """Begin to read what it writes; called once, when the caller has said what it has to say before the first line."""
        self._readers = [
            self._thread(self._read, self._process.stdout, self.lines),
            self._thread(self._read, self._process.stderr, self.stderr_tail),
        ]
        self._thread(self._watch)
        return self

    async def wait(self) -> None:
        """Wait until the shell has ended and what it wrote was read."""
        await self._done.wait(None)

    async def end(self, grace_seconds: float) -> None:
        """End the process group: ask it to, and after `grace_seconds` force it. Harmless when it has ended."""
        if self._gone.is_set:
            return
        self._signal(force=False)
        if not await self._gone.wait(grace_seconds):
            self._signal(force=True)
            await self._gone.wait(grace_seconds)

    def _signal(self, force: bool) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not _IS_WINDOWS:
                os.killpg(self.pid, signal.SIGKILL if force else signal.SIGTERM)
            elif force:
                self._process.kill()
            else:
                self._process.terminate()

    def _thread(self, target: Callable[..., None], *arguments: Any) -> threading.Thread:
        # The threads log for the run that started the process, so they see its context.
        thread = threading.Thread(target=copy_context().run, args=(target, *arguments), name=f"headrace-shell-{self.pid}", daemon=True)
        thread.start()
        return thread

    def _read(self, stream: IO[str], lines: list[str] | deque[str]) -> None:
        with contextlib.suppress(ValueError):  # the stream was closed because the process ended and left it to others
            for raw in stream:
                line = raw.rstrip("\r\n")
                lines.append(line)
                if self._on_line:
                    self._on_line(self.pid, line)

    def _watch(self) -> None:
        self._process.wait()
        for reader in self._readers:
            reader.join(_DRAIN_SECONDS)  # a background process may hold the streams open for as long as it likes
        self._clean_up()
        self._done.set()
        for reader in self._readers:
            reader.join()
        self._gone.set()

    def _clean_up(self) -> None:
        with contextlib.suppress(OSError):
            for record in (self._folder / "failures").read_text(errors="replace").split("\0")[:-1]:
                code, _, command = record.partition(_FAILURE)
                self.failures.append((int(code), command))
        with contextlib.suppress(OSError):  # a background process may just be adding to it
            for file in self._folder.iterdir():
                file.unlink(missing_ok=True)
            self._folder.rmdir()


def start(
    commands: Sequence[str],
    *,
    env: Mapping[str, str],
    working_dir: str | os.PathLike[str] | None,
    shell: str | None,
    extension: str | None,
    stop_on_error: bool,
    on_line: LineHandler | None,
    **popen_options: Any,
) -> ChildProcess:
    """Write the commands into one script, so that `cd` and variables carry over, and start it in a group of its own.

    `env` is added to this process's environment. `on_line` is called with the process id and each line of both streams,
    from threads that see the caller's context variables. `popen_options` go to `subprocess.Popen`.
    Raises FileNotFoundError when the shell is not installed, NotADirectoryError when `working_dir` is no folder.
    """
    shell = shell or ("powershell" if _IS_WINDOWS else "bash")
    if working_dir is not None and not os.path.isdir(working_dir):
        raise NotADirectoryError(f"The working directory {os.fspath(working_dir)!r} is no folder here. Create it first, or choose another.")
    name = Path(shlex.split(shell, posix=not _IS_WINDOWS)[0]).stem.lower()
    is_powershell = name in ("powershell", "pwsh")
    folder = Path(tempfile.mkdtemp(prefix="headrace-shell-"))
    script = folder / f"script{extension or ('.ps1' if is_powershell else '.sh')}"
    script.write_text(_script(commands, name, stop_on_error, folder / "failures"), encoding="utf-8")
    argv = [*shlex.split(shell, posix=not _IS_WINDOWS), *(["-File"] if is_powershell else []), str(script)]
    options: dict[str, Any] = {
        # A child inherits the environment; nothing is decided by it here.
        "env": {**os.environ, **env},
        "cwd": working_dir,
        "stdin": subprocess.DEVNULL,
        "start_new_session": not _IS_WINDOWS,
        **popen_options,
    }
    try:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", **options)
    except BaseException as error:
        script.unlink()
        folder.rmdir()
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(f"The shell {argv[0]!r} is not installed or not on PATH. Install it, or choose another with `shell`.") from error
        raise
    return ChildProcess(process, folder, on_line)


def _script(commands: Sequence[str], shell: str, stop_on_error: bool, failures: Path) -> str:
    """Return the script's text. Only lines before the user's are added, since a construct may span several commands."""
    prologue: list[str] = []
    if shell in ("powershell", "pwsh"):
        prologue = ['$ErrorActionPreference = "Stop"'] if stop_on_error else []
    elif stop_on_error:
        prologue = ["set -e"]
    elif shell == "bash":
        # Bash runs this after each command that fails outside a condition, and puts $? back afterwards (bash(1), trap).
        record = f'printf \'%s{_FAILURE}%s\\0\' "$?" "$BASH_COMMAND" >> {shlex.quote(str(failures))}'
        prologue = [f"trap {shlex.quote(record)} ERR"]
    return "\n".join([*prologue, *commands]) + "\n"
