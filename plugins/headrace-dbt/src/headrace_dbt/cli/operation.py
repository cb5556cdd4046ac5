"""`DbtCoreOperation`: dbt and shell commands in one script, in processes of their own."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from contextvars import copy_context
from pathlib import Path
from typing import IO, Any, Literal, Self

from pydantic import Field, PrivateAttr

from headrace.blocks.abstract import JobBlock, JobRun
from headrace.blocks.credentials import is_secret_name
from headrace.utilities.asyncutils import blocking, twins
from headrace_dbt.cli.credentials import DbtCliProfile
from headrace_dbt.cli.profiles_file import prepared_profiles_dir

_IS_WINDOWS = os.name == "nt"
_GRACE_SECONDS = 5.0
_DRAIN_SECONDS = 2.0
_DRAIN_SECONDS_MAX = 60.0
_STDERR_LINES_KEPT = 50


class DbtProcess(JobRun[list[str]]):
    """The process of an operation that `DbtCoreOperation.trigger` started."""

    def __init__(self, process: subprocess.Popen[str], script: Path, streams_output: bool) -> None:
        self._process = process
        self._script = script
        self._streams_output = streams_output
        self._lines: list[str] = []
        self._stderr_tail: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        self._log = self.logger  # that of the run that starts it; the threads belong to none
        self._lines_read = 0
        self._readers = [self._reader(process.stdout, self._lines), self._reader(process.stderr, self._stderr_tail)]

    def _reader(self, stream: IO[str] | None, lines: list[str] | deque[str]) -> threading.Thread:
        def read() -> None:
            with contextlib.suppress(ValueError):  # the stream was closed because the process has ended
                for raw in stream or ():
                    line = raw.rstrip("\r\n")
                    lines.append(line)
                    self._lines_read += 1
                    if self._streams_output and line.strip():
                        self._log.info("PID %s stream output: %s", self.pid, line)

        thread = threading.Thread(target=copy_context().run, args=(read,), name=f"headrace-dbt-{self.pid}", daemon=True)
        thread.start()
        return thread

    def _drain(self) -> None:
        """Wait until the output is read, as long as there is more of it: a background process may hold the streams open as long as it likes."""
        for _ in range(int(_DRAIN_SECONDS_MAX / _DRAIN_SECONDS)):
            before = self._lines_read
            for reader in self._readers:
                reader.join(_DRAIN_SECONDS / len(self._readers))
            if self._lines_read == before or not any(reader.is_alive() for reader in self._readers):
                return

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def return_code(self) -> int | None:
        """What the process returned, None while it runs."""
        return self._process.poll()

    def _wait(self) -> None:
        """Wait until the process has ended. Raises `RuntimeError`, with the end of its error output, when its return code is not 0."""
        code = self._process.wait()
        self._drain()
        self._script.unlink(missing_ok=True)
        if code:
            tail = "\n".join(self._stderr_tail or self._lines[-_STDERR_LINES_KEPT:])
            raise RuntimeError(f"PID {self.pid} failed with return code {code}." + (f"\n{tail}" if tail else ""))
        self._log.info("PID %s completed with return code %s.", self.pid, code)

    def _result(self) -> list[str]:
        """Return the lines of standard output; with a warning, those so far when the process is still running."""
        if self.return_code is None:
            self._log.warning("PID %s is still running; the result is what it has written so far.", self.pid)
        return list(self._lines)

    def _end(self) -> None:
        """End the process and everything that it started: ask it to, and after five seconds force it. Harmless when it has ended."""
        if self.return_code is None:
            self._signal(force=False)
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(force=True)
                self._process.wait()
        self._script.unlink(missing_ok=True)

    def _signal(self, force: bool) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not _IS_WINDOWS:
                os.killpg(self.pid, signal.SIGKILL if force else signal.SIGTERM)
            elif force:
                self._process.kill()
            else:
                self._process.terminate()

    wait_for_completion, await_for_completion = twins(_wait)
    fetch_result, afetch_result = twins(_result)
    close, aclose = twins(_end)


class DbtCoreOperation(JobBlock[list[str]]):
    """A dbt operation: dbt and shell commands that run one after the other in one script.

    For short operations use `run`. For long ones use `trigger`, within a `with` block: leaving it ends what still runs.
    dbt finds the directories by `DBT_PROFILES_DIR` and `DBT_PROJECT_DIR`, which only the commands' own environment has.

    Example:
        ```python
        from headrace_dbt import DbtCoreOperation

        DbtCoreOperation(commands=["dbt debug", "dbt run"], project_dir="shop", profiles_dir="shop").run()

        with DbtCoreOperation(commands=["dbt build"], project_dir="shop", profiles_dir="shop") as operation:
            process = operation.trigger()
            process.wait_for_completion()
            lines = process.fetch_result()
        ```
    """

    _block_type_name = "dbt Core Operation"
    _block_type_slug = "dbt-core-operation"

    commands: list[str] = Field(description="A list of commands to execute sequentially, in the same shell.")
    stream_output: bool = Field(default=True, description="Whether to log each line of output.")
    env: dict[str, str] = Field(default_factory=dict, title="Environment Variables", description="Variables added to the environment.")
    working_dir: Path | None = Field(default=None, title="Working Directory", description="Directory to run in; by default the current one.")
    shell: str | None = Field(default=None, description="Shell to use; bash by default, powershell on Windows.")
    extension: str | None = Field(default=None, description="Extension of the script file; .sh by default, .ps1 for powershell.")
    profiles_dir: Path | None = Field(default=None, description="Directory of profiles.yml; default: DBT_PROFILES_DIR, else ~/.dbt.")
    project_dir: Path | None = Field(default=None, description="Directory of dbt_project.yml; default: the current one or one above it.")
    overwrite_profiles: bool = Field(default=False, description="Whether profiles.yml is replaced when there is one.")
    dbt_cli_profile: DbtCliProfile | None = Field(default=None, description="The profile that is written to profiles.yml.")
    on_error: Literal["continue", "stop"] = Field(
        default="continue",
        description="Whether a failing command ends the script. With `continue`, the last command decides.",
    )

    _processes: list[DbtProcess] = PrivateAttr(default_factory=list)

    def _start(self, **open_kwargs: Any) -> DbtProcess:
        """Start the commands and return at once. `open_kwargs` go to `subprocess.Popen`.

        Raises `ValueError` when profiles.yml is missing or in the way, `FileNotFoundError` when the shell is not installed, and
        `NotADirectoryError` when `working_dir` is no folder.
        """
        working_dir = open_kwargs.pop("cwd", self.working_dir)
        if working_dir is not None and not Path(working_dir).is_dir():
            raise NotADirectoryError(f"The working directory {str(working_dir)!r} is no folder here. Create it first, or choose another.")
        argv, script = self._script()
        options = {"stdin": subprocess.DEVNULL, "start_new_session": not _IS_WINDOWS, "cwd": working_dir, **open_kwargs}
        options["env"] = {**self._environment(), **open_kwargs.get("env", {})}
        pipe = subprocess.PIPE
        try:
            started = subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, encoding="utf-8", errors="replace", **options)
        except FileNotFoundError as error:
            script.unlink()
            raise FileNotFoundError(f"The shell {argv[0]!r} is not installed or not on PATH. Install it, or choose another with `shell`.") from error
        process = DbtProcess(started, script, self.stream_output)
        self._processes.append(process)
        where = str(working_dir or ".")
        self.logger.info("PID %s triggered with %s commands running inside the %r directory.", process.pid, len(self.commands), where)
        return process

    async def arun(self, **open_kwargs: Any) -> list[str]:
        """Run the commands to their end and return the lines of standard output. `open_kwargs` go to `subprocess.Popen`.

        Raises `RuntimeError` when the script returns anything but 0. When this is stopped, everything that it started is ended.
        """
        process = await self.atrigger(**open_kwargs)
        try:
            await process.await_for_completion()
            return await process.afetch_result()
        finally:
            await process.aclose()
            self._processes.remove(process)

    def _end_all(self) -> None:
        """End every process that this block started and everything that those started."""
        while self._processes:
            self._processes.pop().close()
        self.logger.info("Successfully closed all open processes.")

    trigger, atrigger = twins(_start)
    run = blocking(arun)
    close, aclose = twins(_end_all)

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, {key: "********" if is_secret_name(key) else item for key, item in self.env.items()} if name == "env" else value

    def _environment(self) -> dict[str, str]:
        profiles = prepared_profiles_dir(self.profiles_dir, self.overwrite_profiles, self.dbt_cli_profile, self.env)
        wanted = {"DBT_PROFILES_DIR": str(profiles.absolute())}
        if self.project_dir is not None:
            wanted["DBT_PROJECT_DIR"] = str(self.project_dir.expanduser().absolute())
        own = str(Path(sys.executable).parent)  # dbt stands there when this environment is used without being activated
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), own])
        return {**os.environ, "PATH": path, **wanted, **self.env}

    def _script(self) -> tuple[list[str], Path]:
        shell = shlex.split(self.shell or ("powershell" if _IS_WINDOWS else "bash"), posix=not _IS_WINDOWS)
        is_powershell = Path(shell[0]).stem.lower() in ("powershell", "pwsh")
        stop = ['$ErrorActionPreference = "Stop"' if is_powershell else "set -e"] if self.on_error == "stop" else []
        handle, name = tempfile.mkstemp(prefix="headrace-dbt-", suffix=self.extension or (".ps1" if is_powershell else ".sh"))
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write("\n".join([*stop, *self.commands]) + "\n")
        return [*shell, *(["-File"] if is_powershell else []), name], Path(name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
