"""A process that has imported the library already and forks one process for each run: `python -m headrace.deploy.workers.nursery FD`.

It does nothing else: no thread, no settings, no connection, so that a fork of it is as good as a fresh interpreter. Requests come over the
socket that is open as the descriptor FD, four bytes of length and JSON each, with the descriptors of the run's output; answers are lines of
JSON, `{"id", "pid"}` and in the end `{"id", "status"}`. When the socket closes it ends, and its children go on.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import util
from typing import Any

LENGTH_BYTES = 4
REQUEST_BYTES_MAX = 16_000_000
MODULE = "headrace.engine"
"""What a child runs, as `python -m` would."""

_PRELOADED = (
    "headrace.deploy.child",
    "headrace.deploy.steps",
    "headrace.deploy.steps_pull",
    "headrace.client.http",
    "headrace.client.spool",
    "headrace.engine.flow",
    "headrace.engine.flow_run",
    "headrace.engine.task_run",
    "headrace.logs.config",
    "headrace.model.endpoints.deployments",
    "headrace.model.endpoints.flow_runs",
    "headrace.model.endpoints.flows",
    "headrace.model.orchestration",
    "headrace.flows",
    "headrace.tasks",
    "asyncio",
    "concurrent.futures.thread",
    "multiprocessing",
)


def preload() -> None:
    """Import what every run needs, and build the models that every run reads."""
    for name in _PRELOADED:
        if util.find_spec(name) is not None:
            __import__(name)
    from headrace.client.codec import decode
    from headrace.model.deployments import Deployment
    from headrace.model.flow_runs import FlowRun
    from headrace.model.flows import Flow
    from headrace.model.orchestration import OrchestrationResult, SetState

    for model in (FlowRun, Deployment, OrchestrationResult, SetState, Flow):
        model.model_rebuild()
        with suppress(ValueError):
            decode(model, b"{}")


class Nursery:
    """Serves requests until the socket closes."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._ids: dict[int, int] = {}

    def serve(self) -> dict[str, Any] | None:
        """Return the request that this process, a child, is to perform; None in the parent when it is to end."""
        ready, tell = os.pipe()
        os.set_blocking(tell, False)
        os.set_blocking(ready, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        poll = select.poll()
        poll.register(self._wire, select.POLLIN)
        poll.register(ready, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == ready:
                    with suppress(BlockingIOError):
                        os.read(ready, 4096)
                    self._reap()
                    continue
                request = self._receive()
                if request is None:
                    return None
                if self._fork(request):
                    os.close(ready)
                    os.close(tell)
                    return request

    def _receive(self) -> dict[str, Any] | None:
        head, descriptors, _, _ = socket.recv_fds(self._wire, LENGTH_BYTES, 2)
        while head and len(head) < LENGTH_BYTES:
            head += self._wire.recv(LENGTH_BYTES - len(head))
        if not head:
            return None
        left, parts = int.from_bytes(head, "big"), list[bytes]()
        while left:
            part = self._wire.recv(min(left, 1 << 16))
            if not part:
                return None
            parts.append(part)
            left -= len(part)
        return {**json.loads(b"".join(parts)), "descriptors": list(descriptors)}

    def _fork(self, request: dict[str, Any]) -> bool:
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            self._wire.close()
            return True
        for descriptor in request["descriptors"]:
            os.close(descriptor)
        self._ids[pid] = request["id"]
        self._answer({"id": request["id"], "pid": pid})
        return False

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._ids:
                self._answer({"id": self._ids.pop(pid), "status": os.waitstatus_to_exitcode(status)})

    def _answer(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # nobody is there: the children go on all the same
            self._wire.sendall(json.dumps(message).encode() + b"\n")


def become(request: dict[str, Any]) -> None:
    """Make this process what the request wants: its session, signals, directory, environment, output."""
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in zip((nothing, *request["descriptors"]), (0, 1, 2), strict=True):
        os.dup2(descriptor, target)
        if descriptor != target:
            os.close(descriptor)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = open(descriptor, "w", buffering=1 if os.isatty(descriptor) or descriptor == 2 else -1, closefd=False, errors="backslashreplace")  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    sys.argv = [MODULE]


def main() -> None:
    """Serve, and in each child run what `python -m headrace.engine` runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the worker to say
    wire = socket.socket(fileno=int(sys.argv[1]))
    preload()
    gc.collect()
    gc.freeze()  # what is here stays shared with the children
    try:
        wire.sendall(b'{"ready": true}\n')
    except BrokenPipeError:
        return  # the worker is gone already
    request = Nursery(wire).serve()
    if request is not None:
        become(request)
        runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
