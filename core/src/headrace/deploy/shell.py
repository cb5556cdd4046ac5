"""Shell commands as flows."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from typing import IO, Any

from headrace.engine.flow import Flow

FLOW_NAME = "Shell Command"


def run_shell_process(
    command: str, log_output: bool = True, stream_stdout: bool = False, log_stderr: bool = False, popen_kwargs: dict[str, Any] | None = None
) -> None:
    """Run a command in the shell and wait for it, within a flow or task run.

    `log_output`: write what it prints to the run's log: line by line as it comes with `stream_stdout`, else when it has ended. `log_stderr`: what it
    prints to stderr too, as errors. `popen_kwargs`: further arguments of `subprocess.Popen`. Raises `FailedRun` when it ends with a status other
    than 0; the error tells its last lines on stderr.
    """
    from headrace.engine.log_loggers import get_run_logger
    from headrace.model.errors import FailedRun

    logger = get_run_logger()
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace", **(popen_kwargs or {})}
    out: list[str] = []
    err: list[str] = []
    with subprocess.Popen(command, shell=True, **options) as process:  # what the user asks for
        readers = [
            _read(process.stdout, out, logger.info if log_output and stream_stdout else None),
            _read(process.stderr, err, logger.error if log_output and log_stderr and stream_stdout else None),
        ]
        for reader in readers:
            reader.join()
        status = process.wait()
    if log_output and not stream_stdout:
        if out:
            logger.info("%s", "\n".join(out))
        if err and log_stderr:
            logger.error("%s", "\n".join(err))
    if status:
        last = "\n".join(err[-10:])
        raise FailedRun(f"The command ended with status {status}{f': {last}' if last else '.'}")


def _read(pipe: IO[str] | None, kept: list[str], tell: Callable[[str, str], Any] | None) -> threading.Thread:
    from contextvars import copy_context

    def read() -> None:
        for line in pipe or ():
            text = line.rstrip("\n")
            kept.append(text)
            if tell is not None:
                tell("%s", text)

    thread = threading.Thread(target=copy_context().run, args=(read,), daemon=True)
    thread.start()
    return thread


def shell_flow(name: str = FLOW_NAME, **options: Any) -> Flow[..., Any]:
    """Return a flow of that name which runs a shell command; its parameters are those of `run_shell_process`."""
    return Flow(run_shell_process, name=name, **options)


shell_command = shell_flow()
"""What processes of a served command load."""
