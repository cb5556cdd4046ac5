"""A process that has imported what every flow run needs, and forks one process for each run: a start costs milliseconds, not a second.

It has one thread, no connection and no code of users, so that forking it is safe. Requests come over a socket whose other end `children.py` holds;
when that is closed the zygote ends, and the runs that it started go on. Not for direct use: `python -m headrace.deploy.zygote FD`.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType, ModuleType
from typing import Any

from headrace.deploy.child import LIFELINE, run_flow_run_of_environment
from headrace.settings import refresh_global_settings_context
from headrace.settings.environment import internal_name

MESSAGE_BYTES_MAX = 4096
DESCRIPTORS = 4
"""With each request: a file that holds it as JSON, the ends of the pipe for what the run prints (to write, to read), and its lifeline."""


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each request, and tell what becomes of them. Returns the request in the forked process, None when nobody asks any more."""
    wake, woken = socket.socketpair()
    for one in (wake, woken):
        one.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _wake)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    woken.recv(MESSAGE_BYTES_MAX)
                    _tell_of_ended(channel)
                    continue
                try:
                    message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES_MAX, DESCRIPTORS)
                except ConnectionResetError:  # told once, when whoever asks died before it read everything; what it asked for comes next
                    continue
                if not message:
                    return None
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for one in (wake, woken, channel):
                        one.close()
                    return _become(descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                with suppress(OSError):  # whoever asked is dead; what it asked for is done all the same
                    channel.send(json.dumps({"began": pid}).encode())


def _wake(number: int, frame: FrameType | None) -> None:
    """Have the signal write to the wakeup descriptor, which an ignored one would not."""


def _tell_of_ended(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with suppress(OSError):
            channel.send(json.dumps({"ended": pid, "status": os.waitstatus_to_exitcode(status)}).encode())


def _become(descriptors: list[int]) -> dict[str, Any]:
    """Make this forked process like one that was started for the request, and return that."""
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    request_file, writer, reader, lifeline = descriptors
    with open(request_file, encoding="utf-8") as file:
        file.seek(0)
        request = json.load(file)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(writer)
    os.environ.clear()
    os.environ.update(request["env"])
    os.environ[internal_name(LIFELINE)] = f"{lifeline},{reader}"
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    sys.argv = ["headrace.engine"]
    refresh_global_settings_context()
    return request


def _prepare() -> tuple[ModuleType, ...]:
    """Import and build what the first moments of every flow run need, and return the modules."""
    import asyncio
    import concurrent.futures.thread

    from headrace import flows, tasks
    from headrace.client import http, spool
    from headrace.deploy.steps import pull, run
    from headrace.engine import task_run
    from headrace.logs import config
    from headrace.model.endpoints import deployments, flow_runs

    imported = (asyncio, concurrent.futures.thread, flows, tasks, http, spool, pull, run, task_run, config, deployments, flow_runs)
    from headrace.client.codec import decode
    from headrace.model.deployments import Deployment
    from headrace.model.flow_runs import FlowRun
    from headrace.model.flows import Flow
    from headrace.model.orchestration import OrchestrationResult, SetState

    for shape in (FlowRun, Deployment, Flow, OrchestrationResult, SetState):
        shape.model_rebuild()
        with suppress(ValueError):
            decode(shape, b"{}")  # builds what decoding it needs
    gc.collect()
    gc.freeze()
    return imported


def main() -> None:
    """Serve the socket whose descriptor is the first argument; in a forked process, run the flow run and exit."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    _prepare()
    request = serve(channel)
    if request is not None:
        sys.exit(run_flow_run_of_environment())


if __name__ == "__main__":
    main()
