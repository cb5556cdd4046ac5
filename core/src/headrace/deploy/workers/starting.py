"""Starting processes for runs: forked from a warm one where that is as good as a fresh one, else fresh; and ending them with all they started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from headrace.deploy.workers.nursery import LENGTH_BYTES

READY_SECONDS_MAX = 60.0
KILL_SECONDS_MAX = 10.0
POLL_SECONDS = 0.5
UNKNOWN_STATUS = -1000
"""The status of a child whose end nobody saw."""

_READ_AT_START = ("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OPENSSL_", "COVERAGE_")
"""Variables that an interpreter reads when it starts: a fork would not see what they say."""


class Child:
    """A process of a run. It leads a session of its own."""

    def __init__(self, pid: int, ended: asyncio.Future[int]) -> None:
        self.pid = pid
        self._ended = ended

    async def wait(self) -> int:
        """Wait for its end and return its exit status, negative for a signal, `UNKNOWN_STATUS` if nobody saw it."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> None:
        """Ask it to end, force it after the grace, and let nothing that it started outlive it. Returns when it has ended."""
        self._signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), grace_seconds)
        self._signal_all(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), KILL_SECONDS_MAX)

    def _signal(self, number: int) -> None:
        if not self._ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _signal_all(self, number: int) -> None:
        if sys.platform == "win32":
            self._signal(number)
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Starter:
    """Starts processes of runs, from the running event loop. `is_warm`: keep a process with the library imported, to fork from."""

    def __init__(self, is_warm: bool = True) -> None:
        self._is_warm = is_warm and hasattr(os, "fork") and hasattr(socket, "send_fds") and sys.platform != "darwin"
        self._warm: _Warm | None = None
        self._lock = asyncio.Lock()

    async def start(self, command: Sequence[str] | None, env: Mapping[str, str], cwd: Path, is_silent: bool = False) -> Child:
        """Start a process: `command`, or for None the flow run that `env` names. `env` is its whole environment; `is_silent`: its output is lost.

        Raises `OSError` when the command cannot be executed or the folder is not there.
        """
        if not cwd.is_dir():
            raise NotADirectoryError(f"The working directory {str(cwd)!r} does not exist. Create it, or set the job variable `working_dir`.")
        if command is None and self._is_warm and _starts_alike(env):
            child = await self._forked(env, cwd, is_silent)
            if child is not None:
                return child
        return await _fresh(command or (sys.executable, "-m", "headrace.engine"), env, cwd, is_silent)

    async def prepare(self) -> None:
        """Have a warm process ready for the first run."""
        if self._is_warm:
            async with self._lock:
                await self._warm_one()

    async def close(self) -> None:
        """Let go of the warm process; children go on."""
        if self._warm is not None:
            await self._warm.close()
            self._warm = None

    async def _forked(self, env: Mapping[str, str], cwd: Path, is_silent: bool) -> Child | None:
        async with self._lock:
            warm = await self._warm_one()
            return await warm.fork(env, cwd, is_silent) if warm is not None else None

    async def _warm_one(self) -> _Warm | None:
        if self._warm is None or self._warm.is_closed:
            self._warm = await _Warm.started()
        return self._warm


def _starts_alike(env: Mapping[str, str]) -> bool:
    """Say whether an interpreter in this environment would start like this one."""
    names = {name for name in (*env, *os.environ) if name.startswith(_READ_AT_START)}
    return all(env.get(name) == os.environ.get(name) for name in names)


async def _fresh(command: Sequence[str], env: Mapping[str, str], cwd: Path, is_silent: bool) -> Child:
    output = subprocess.DEVNULL if is_silent else None
    more: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        more = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    process = await asyncio.create_subprocess_exec(*command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **more)
    return Child(process.pid, asyncio.ensure_future(process.wait()))


class _Warm:
    """The warm process, as its parent sees it."""

    def __init__(self, process: subprocess.Popen[bytes], wire: socket.socket) -> None:
        self._process = process
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._heard = b""
        self._number = 0
        self._pids: dict[int, asyncio.Future[int]] = {}
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._known: dict[int, int] = {}
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.is_closed = False
        self._watches: set[asyncio.Task[None]] = set()
        wire.setblocking(False)
        self._loop.add_reader(wire, self._hear)

    @classmethod
    async def started(cls) -> _Warm | None:
        """Start one and wait until it is ready; None when it does not get ready: then processes are started fresh."""
        here, there = socket.socketpair()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "headrace.deploy.workers.nursery", str(there.fileno())],
                pass_fds=(there.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            there.close()
        warm = cls(process, here)
        try:
            await asyncio.wait_for(asyncio.shield(warm.ready), READY_SECONDS_MAX)
        except (TimeoutError, ConnectionError):
            await warm.close()
            return None
        return warm

    async def fork(self, env: Mapping[str, str], cwd: Path, is_silent: bool) -> Child | None:
        """Fork a child, or return None when the warm process is gone."""
        self._number += 1
        number = self._number
        pid = self._pids[number] = self._loop.create_future()
        end = self._ends[number] = self._loop.create_future()
        content = json.dumps({"id": number, "env": dict(env), "cwd": str(cwd)}).encode()
        nowhere = os.open(os.devnull, os.O_WRONLY) if is_silent else None
        outputs = [nowhere, nowhere] if nowhere is not None else [1, 2]
        try:
            await asyncio.to_thread(self._send, content, outputs)
            child = await pid
        except OSError:
            self._lose()
            return None
        finally:
            if nowhere is not None:
                os.close(nowhere)
        self._known[number] = child
        return Child(child, end)

    def _send(self, content: bytes, descriptors: list[int]) -> None:
        with socket.socket(fileno=os.dup(self._wire.fileno())) as wire:
            # A duplicate shares the flag "does not wait", so room is waited for here.
            head = len(content).to_bytes(LENGTH_BYTES, "big")
            socket.send_fds(wire, [head], descriptors)
            left = memoryview(content)
            import select

            while left:
                select.select([], [wire], [])
                left = left[wire.send(left) :]

    def _hear(self) -> None:
        try:
            heard = self._wire.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            self._lose()
            return
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            if "ready" in message:
                self.ready.set_result(None)
            elif "pid" in message:
                _resolve(self._pids.pop(message["id"]), message["pid"])
            else:
                self._known.pop(message["id"], None)
                _resolve(self._ends.pop(message["id"]), message["status"])

    def _lose(self) -> None:
        """The warm process is gone. Its children go on; their ends are seen from outside."""
        if self.is_closed:
            return
        self.is_closed = True
        self._loop.remove_reader(self._wire)
        self._wire.close()
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the process ended before it was ready"))
        for waiting in self._pids.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the warm process ended"))
        for number, end in self._ends.items():
            if number in self._known:
                watch = asyncio.ensure_future(_watch(self._known[number], end))
                self._watches.add(watch)
                watch.add_done_callback(self._watches.discard)

    async def close(self) -> None:
        """End it."""
        self._lose()
        await asyncio.to_thread(self._process.wait)


def _resolve(future: asyncio.Future[int], value: int) -> None:
    if not future.done():
        future.set_result(value)


async def _watch(pid: int, end: asyncio.Future[int]) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            _resolve(end, UNKNOWN_STATUS)
            return
        await asyncio.sleep(POLL_SECONDS)
