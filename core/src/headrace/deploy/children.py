"""Processes for flow runs: started quickly where that is safe, listened to, waited for, and ended with all that they started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from headrace.settings.environment import internal_name

LINE_BYTES_MAX = 1_000_000
ZYGOTE_END_SECONDS_MAX = 5.0
STATUS_UNKNOWN = -256
"""The exit status of a process whose end was noticed but not its status."""

_OF_THE_INTERPRETER = ("PYTHON", "LD_", "DYLD_", "MALLOC_", "OMP_", "OPENBLAS_", "MKL_", "VIRTUAL_ENV", "LANG", "LC_")
"""Variables that work when a process starts, or a library loads: with other values, a run needs a process that starts anew."""


class Child:
    """One process. `wait` gives its exit status, negative for the signal that ended it."""

    def __init__(self, pid: int, output: asyncio.StreamReader, lifeline: int | None) -> None:
        self.pid = pid
        self.output = output
        self._lifeline = lifeline
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None

    def follow(self, watcher: Coroutine[Any, Any, int]) -> None:
        """Have `watcher` find out how the process ends."""

        async def watch() -> None:
            self.ended(await watcher)

        self._watcher = asyncio.create_task(watch())

    def ended(self, status: int) -> None:
        """Note how the process ended."""
        if not self._ended.done():
            self._ended.set_result(status)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._ended.done()

    async def wait(self) -> int:
        """Wait for the end of the process and return its status. The process is left alone when the waiting is cancelled."""
        return await asyncio.shield(self._ended)

    async def end(self, grace_seconds: float) -> int:
        """Tell the process to terminate, kill it after `grace_seconds`, and kill whatever it started and left behind; return its status."""
        family = descendants(self.pid)
        _send(self.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), grace_seconds)
        family |= descendants(self.pid)
        for pid in family:
            _send(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return await self.wait()


class Launcher:
    """Starts processes for flow runs. Close it when no more are to be started; those that run go on."""

    def __init__(self) -> None:
        self._zygote: _Zygote | None = None
        self._lock = asyncio.Lock()

    async def start(self, env: Mapping[str, str], cwd: str | None = None, command: str | None = None) -> Child:
        """Start a process with exactly the environment `env`, in the folder `cwd`, and return it.

        It runs the flow run that `env` names, in a session of its own; with `command`, that. Raises `OSError` when it cannot be started.
        """
        folder = str(Path(cwd or ".").resolve())
        if command is None and _fork_is_safe(env):
            async with self._lock:
                if self._zygote is None or self._zygote.is_closed:
                    self._zygote = await _Zygote.start()
                with contextlib.suppress(_ZygoteGone):
                    return await self._zygote.spawn(env, folder)
        return await _spawn(env, folder, shlex.split(command) if command else [sys.executable, "-m", "headrace.engine"])

    async def warm_up(self) -> None:
        """Get ready to start processes quickly."""
        if _fork_is_safe(os.environ):
            async with self._lock:
                self._zygote = self._zygote or await _Zygote.start()

    async def close(self) -> None:
        """Start nothing more."""
        if self._zygote is not None:
            self._zygote.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._zygote.process.wait(), ZYGOTE_END_SECONDS_MAX)


def _fork_is_safe(env: Mapping[str, str]) -> bool:
    if sys.platform != "linux":
        return False
    names = {name for name in (*os.environ, *env) if name.startswith(_OF_THE_INTERPRETER)}
    return all(os.environ.get(name) == env.get(name) for name in names)


async def _spawn(env: Mapping[str, str], folder: str, command: list[str]) -> Child:
    reader, writer = os.pipe()
    lifeline, own_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**env, internal_name("LIFELINE"): f"{lifeline},{reader}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
            pass_fds=(lifeline, reader),
        )
    except BaseException:
        for descriptor in (reader, own_end):
            os.close(descriptor)
        raise
    finally:
        for descriptor in (writer, lifeline):
            os.close(descriptor)
    child = Child(process.pid, await _reading(reader), own_end)
    child.follow(process.wait())
    return child


async def _reading(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0))
    return reader


class _ZygoteGone(Exception):
    """The zygote has ended, or was killed."""


class _Zygote:
    """The process that forks; see `zygote.py`."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.is_closed = False
        self.process = process
        self._channel = channel
        self._children: dict[int, Child] = {}
        self._began: asyncio.Future[int] | None = None
        self._early: dict[int, int] = {}
        asyncio.get_running_loop().add_reader(channel.fileno(), self._hear)

    @classmethod
    async def start(cls) -> _Zygote:
        """Start the process."""
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own.setblocking(False)
        with other:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "headrace.deploy.zygote",
                str(other.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
                start_new_session=True,
            )
        return cls(process, own)

    async def spawn(self, env: Mapping[str, str], folder: str) -> Child:
        """Have a process forked. Raises `_ZygoteGone`."""
        reader, writer = os.pipe()
        lifeline, own_end = os.pipe()
        loop = asyncio.get_running_loop()
        self._began = loop.create_future()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as request:
            json.dump({"env": dict(env), "cwd": folder}, request)
            request.flush()
            try:
                socket.send_fds(self._channel, [b"run"], [request.fileno(), writer, reader, lifeline])
                pid = await self._began
            except (OSError, _ZygoteGone) as error:
                self._lose()
                for descriptor in (reader, own_end):
                    os.close(descriptor)
                raise _ZygoteGone from error
            finally:
                self._began = None
                for descriptor in (writer, lifeline):
                    os.close(descriptor)
        child = Child(pid, await _reading(reader), own_end)
        if pid in self._early:
            child.ended(self._early.pop(pid))
        else:
            self._children[pid] = child
        return child

    def _hear(self) -> None:
        try:
            message = self._channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lose()
            return
        told = json.loads(message)
        if "began" in told:
            if self._began is not None and not self._began.done():
                self._began.set_result(told["began"])
            return
        child = self._children.pop(told["ended"], None)
        if child is None:
            self._early[told["ended"]] = told["status"]
        else:
            child.ended(told["status"])

    def _lose(self) -> None:
        """Do without the zygote, which is gone. Its children go on; nobody but the machine tells of their end now."""
        if self.is_closed:
            return
        self.close()
        if self._began is not None and not self._began.done():
            self._began.set_exception(_ZygoteGone())
        for child in self._children.values():
            child.follow(_end_of_stranger(child.pid))
        self._children.clear()

    def close(self) -> None:
        """End the process."""
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()


async def _end_of_stranger(pid: int) -> int:
    while _is_alive(pid):
        await asyncio.sleep(0.5)
    return STATUS_UNKNOWN


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def descendants(pid: int) -> set[int]:
    """Return the processes that a process started, and those that they started, as far as the machine tells."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for one in children.get(waiting.pop(), ()):
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found


async def each_line(child: Child, tell: Callable[[str], Any]) -> None:
    """Give every line that a child prints to `tell`, until it ends. Of a line that is too long, the rest counts as another."""
    while True:
        try:
            line = await child.output.readuntil(b"\n")
        except asyncio.IncompleteReadError as rest:
            if rest.partial:
                tell(rest.partial.decode("utf-8", "replace"))
            return
        except asyncio.LimitOverrunError as overrun:
            line = await child.output.readexactly(overrun.consumed)
        tell(line.decode("utf-8", "replace").rstrip("\n"))
