"""Tasks and blocks that run shell commands."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr

from headrace import get_run_logger, task
from headrace.blocks.abstract import JobBlock, JobRun
from headrace.logging import get_logger
from headrace.utilities.asyncutils import blocking
from headrace_shell.processes import ChildProcess, start

_GRACE_SECONDS = 5.0


def _logger() -> Any:
    """Return the run's logger, or an ordinary one outside runs."""
    try:
        return get_run_logger()
    except RuntimeError:  # no run is active
        return get_logger("headrace_shell")


@task
def shell_run_command(
    command: str,
    env: dict[str, str] | None = None,
    helper_command: str | None = None,
    shell: str | None = None,
    extension: str | None = None,
    return_all: bool = False,
    stream_level: int = logging.INFO,
    cwd: str | bytes | os.PathLike[str] | None = None,
) -> list[str] | str:
    """Run a shell command and return the last line of its standard output, "" when it wrote none.

    `env` is added to this process's environment. `helper_command` runs first, in the same shell, so that it can change the
    directory or define functions. `shell` is `bash` by default, `powershell` on Windows; `extension` is that of the script
    file that it is given. With `return_all`, all lines of standard output come back as a list. Each line of both streams
    is logged at `stream_level`, in the order in which it comes. `cwd` is the directory to run in.

    Raises RuntimeError with the end of the command's error output when it returns anything but 0. When the run is stopped
    meanwhile, the command and all that it started are ended.

    Example:
        ```python
        from headrace import flow
        from headrace_shell import shell_run_command

        @flow
        def count() -> str:
            return shell_run_command("ls | wc -l")
        ```
    """
    logger = _logger()
    child = start(
        [part for part in (helper_command, command) if part],
        env=env or {},
        working_dir=os.fsdecode(cwd) if cwd is not None else None,
        shell=shell,
        extension=extension,
        stop_on_error=False,
        on_line=lambda _pid, line: logger.log(stream_level, "%s", line),
    ).follow()
    try:
        _wait(child)
    finally:
        _end(child)
    if child.return_code:
        detail = "\n".join(child.stderr_tail) or (child.lines[-1] if child.lines else "")
        raise RuntimeError(f"Command failed with exit code {child.return_code}:\n{detail}")
    if return_all:
        return child.lines
    return child.lines[-1] if child.lines else ""


async def _await_end(child: ChildProcess) -> None:
    await child.wait()


async def _aend(child: ChildProcess) -> None:
    await child.end(_GRACE_SECONDS)


_wait = blocking(_await_end)
_end = blocking(_aend)


class _LogsWithTheRun:
    """Logs under the run's name: `PID 12 stream output: …` belongs to the run that started the process."""

    @property
    def logger(self) -> Any:
        """The run's logger, or an ordinary one outside runs."""
        return _logger()


class ShellProcess(_LogsWithTheRun, JobRun[list[str]]):
    """A shell process that `ShellOperation.trigger` started."""

    def __init__(self, shell_operation: ShellOperation, child: ChildProcess) -> None:
        self._operation = shell_operation
        self._child = child
        self._has_reported = False

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._child.pid

    @property
    def return_code(self) -> int | None:
        """The return code of the process, None while it runs."""
        return self._child.return_code

    async def await_for_completion(self) -> None:
        """Wait until the process has ended.

        Raises RuntimeError, with the end of its error output, when its return code is not 0.
        """
        await self._child.wait()
        self._report()
        code = self.return_code
        if code:
            tail = "\n".join(self._child.stderr_tail)
            raise RuntimeError(f"PID {self.pid} failed with return code {code}." + (f"\n{tail}" if tail else ""))

    async def afetch_result(self) -> list[str]:
        """Return the lines of standard output; with a warning, those so far when the process is still running."""
        if not self._child.is_done:
            self.logger.warning("PID %s is still running; the result is what it has written so far.", self.pid)
        return list(self._child.lines)

    def _report(self) -> None:
        if self._has_reported:
            return
        self._has_reported = True
        if self.return_code == 0:
            for code, command in self._child.failures:
                self.logger.warning(
                    "PID %s: %r failed with return code %s, and the commands after it ran all the same. "
                    "Set on_error='stop' to end at the first failure.",
                    self.pid, command, code,
                )  # fmt: skip
        self.logger.info("PID %s completed with return code %s.", self.pid, self.return_code)

    async def aclose(self) -> None:
        """End the process and everything that it started; harmless when it has ended."""
        await self._child.end(_GRACE_SECONDS)

    wait_for_completion = blocking(await_for_completion)
    fetch_result = blocking(afetch_result)
    close = blocking(aclose)


class ShellOperation(_LogsWithTheRun, JobBlock[list[str]]):
    """Shell commands that run one after the other in one script.

    For short operations use `run`. For long ones use `trigger`, within a `with` block: leaving it ends what still runs.

    Example:
        ```python
        from headrace_shell import ShellOperation

        lines = ShellOperation(commands=["cd /tmp", "ls"]).run()

        with ShellOperation(commands=["sleep 60", "echo done"]) as operation:
            process = operation.trigger()
            process.wait_for_completion()
            lines = process.fetch_result()
        ```
    """

    _block_type_name = "Shell Operation"
    _block_type_slug = "shell-operation"

    commands: list[str] = Field(description="Commands, run one after the other in the same shell.")
    stream_output: bool = Field(default=True, description="Log each line of output.")
    env: dict[str, str] = Field(default_factory=dict, title="Environment Variables", description="Variables added to the environment.")
    working_dir: Path | None = Field(default=None, title="Working Directory", description="Directory to run in; by default the current one.")
    shell: str | None = Field(default=None, description="Shell to use; bash by default, powershell on Windows.")
    extension: str | None = Field(default=None, description="Extension of the script file; .sh by default, .ps1 for powershell.")
    on_error: Literal["continue", "stop"] = Field(
        default="continue",
        description="Whether a failing command ends the script. With `continue`, the last command decides.",
    )

    _processes: list[ShellProcess] = PrivateAttr(default_factory=list)

    async def atrigger(self, **open_kwargs: Any) -> ShellProcess:
        """Start the commands and return at once. `open_kwargs` go to `subprocess.Popen`.

        Raises FileNotFoundError when the shell is not installed and NotADirectoryError when `working_dir` is no folder.
        """
        working_dir = open_kwargs.pop("cwd", self.working_dir)
        child = start(
            self.commands,
            env={**self.env, **open_kwargs.pop("env", {})},
            working_dir=working_dir,
            shell=self.shell,
            extension=self.extension,
            stop_on_error=self.on_error == "stop",
            on_line=self._log_line if self.stream_output else None,
            **open_kwargs,
        )
        process = ShellProcess(self, child)
        self._processes.append(process)
        self.logger.info(
            "PID %s triggered with %s commands running inside the %r directory.",
            child.pid, len(self.commands), working_dir or ".",
        )  # fmt: skip
        child.follow()
        return process

    async def arun(self, **open_kwargs: Any) -> list[str]:
        """Run the commands to their end and return the lines of standard output. `open_kwargs` go to `subprocess.Popen`.

        Raises RuntimeError when the script returns anything but 0. When this is stopped, the process group is ended.
        """
        process = await self.atrigger(**open_kwargs)
        try:
            await process.await_for_completion()
            return await process.afetch_result()
        finally:
            await process.aclose()
            self._processes.remove(process)

    async def aclose(self) -> None:
        """End every process that this block started and everything that those started."""
        while self._processes:
            await self._processes.pop().aclose()
        self.logger.info("Successfully closed all open processes.")

    def _log_line(self, pid: int, line: str) -> None:
        self.logger.info("PID %s stream output: %s", pid, line)

    trigger = blocking(atrigger)
    run = blocking(arun)
    close = blocking(aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
