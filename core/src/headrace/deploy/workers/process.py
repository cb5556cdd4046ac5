"""The process worker: each run is a process of its own on the worker's machine."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from headrace.deploy.children import Child, Launcher, each_line
from headrace.deploy.workers.base import KILL_GRACE_SECONDS, BaseWorker
from headrace.deploy.workers.configuration import BaseJobConfiguration, BaseVariables, BaseWorkerResult
from headrace.model.errors import InfrastructureNotAvailable, InfrastructureNotFound

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun

_STREAM = "If enabled, workers will stream output from flow run processes to local standard output."
_DIRECTORY = (
    "If provided, workers will open flow run processes within the specified path as the working directory. Otherwise, a temporary directory is made."
)


class ProcessJobConfiguration(BaseJobConfiguration):
    """What the process of a run is started with."""

    stream_output: bool = Field(default=True, description=_STREAM)
    working_dir: Path | None = Field(default=None, description=_DIRECTORY)

    @field_validator("working_dir")
    @classmethod
    def validate_working_dir(cls, v: Path | str | None) -> Path | None:
        """Take a text for a path."""
        return Path(v) if isinstance(v, str) else v

    @property
    def is_default_command(self) -> bool:
        """Whether the run's process is chosen by the worker."""
        return self.command is None or self.command == self._base_flow_run_command()

    def prepare_for_flow_run(self, flow_run: Any, *args: Any, **kwargs: Any) -> None:
        """See `BaseJobConfiguration.prepare_for_flow_run`; the environment begins with the worker's own."""
        given = self.env
        super().prepare_for_flow_run(flow_run, *args, **kwargs)
        self.env = {name: value for name, value in {**os.environ, **self.env}.items() if given.get(name, "") is not None}

    def _base_flow_run_command(self) -> str:
        return f"{shlex.quote(sys.executable)} -m headrace.engine"


class ProcessVariables(BaseVariables):
    """What can be configured of the process of a run."""

    stream_output: bool = Field(default=True, description=_STREAM)
    working_dir: Path | None = Field(default=None, title="Working Directory", description=_DIRECTORY)


class ProcessWorkerResult(BaseWorkerResult):
    """The process of a run, and its exit status: negative for the signal that ended it."""


class ProcessWorker(BaseWorker[ProcessJobConfiguration, ProcessVariables, ProcessWorkerResult]):
    """Start each run as a process on this machine. A run's process goes on when the worker dies."""

    type = "process"
    is_watched_to_its_end = True
    job_configuration: ClassVar[Any] = ProcessJobConfiguration
    job_configuration_variables: ClassVar[Any] = ProcessVariables

    _display_name: ClassVar[str] = "Process"
    _description: ClassVar[str] = "Runs flows in processes of the worker's machine. The easiest to begin with."

    async def setup(self) -> None:
        """See `BaseWorker.setup`."""
        await super().setup()
        self._launcher = Launcher()
        self._children: dict[str, Child] = {}

    async def teardown(self, *exc_info: Any) -> None:
        """See `BaseWorker.teardown`."""
        await super().teardown(*exc_info)
        await self._launcher.close()

    async def sync_with_backend(self) -> None:
        """See `BaseWorker.sync_with_backend`."""
        await super().sync_with_backend()
        await self._launcher.warm_up()

    async def run(self, flow_run: FlowRun, configuration: ProcessJobConfiguration, task_status: Any = None) -> ProcessWorkerResult:
        """Start the run's process and wait for its end."""
        command = None if configuration.is_default_command else _found(configuration.command or "")
        with _folder(configuration.working_dir) as folder:
            env = {name: value for name, value in configuration.env.items() if value is not None}
            child = await self._launcher.start(env, str(folder), command)
            identifier = f"{socket.gethostname()}:{child.pid}"
            self._children[identifier] = child
            try:
                if task_status is not None:
                    task_status.started(identifier)
                _, status = await asyncio.gather(each_line(child, print if configuration.stream_output else len), child.wait())
                return ProcessWorkerResult(identifier=str(child.pid), status_code=status)
            finally:
                del self._children[identifier]

    def seen_as(self, folder: Path) -> str:
        """See `BaseWorker.seen_as`: runs are on this machine."""
        return str(folder)

    async def kill_infrastructure(
        self, infrastructure_pid: str, configuration: ProcessJobConfiguration, grace_seconds: int = KILL_GRACE_SECONDS
    ) -> None:
        """End a run's process and all that it started: SIGTERM, and SIGKILL after the grace."""
        child = self._children.get(infrastructure_pid)
        if child is None:
            host, _, pid = infrastructure_pid.rpartition(":")
            if host not in ("", socket.gethostname()):
                raise InfrastructureNotAvailable(f"The process {pid} runs on {host!r}, and this worker on {socket.gethostname()!r}.")
            raise InfrastructureNotFound(f"This worker has no process {pid}: it has ended, or another worker started it.")
        await child.end(grace_seconds)


def _found(command: str) -> str:
    """Return a command with the worker's own interpreter and library where it names `python` or `headrace` alone."""
    words = shlex.split(command, posix=os.name != "nt")
    if not words:
        raise ValueError(f"The command {command!r} is empty. Remove the job variable `command` to let the worker choose.")
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    elif words[0] == "headrace":
        words[:1] = [sys.executable, "-m", "headrace"]
    return shlex.join(words)


@contextmanager
def _folder(given: Path | None) -> Generator[Path]:
    if given is not None:
        folder = given.expanduser()
        if not folder.is_dir():
            raise NotADirectoryError(f"The working directory {str(folder)!r} does not exist. Create it, or change the job variable `working_dir`.")
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="headrace-run-", ignore_cleanup_errors=True) as made:
        yield Path(made)
